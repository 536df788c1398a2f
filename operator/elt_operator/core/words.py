"""What others say, made fit for a status: the words of a container runtime may quote a variable, and so a Secret."""

import re
from collections.abc import Set as AbstractSet
from typing import Final

_OF_KUBERNETES: Final = re.compile(
    r"(?:Error: )?(?:"
    r"(?:secret|configmap|persistentvolumeclaim|serviceaccount)s? \"[\w./-]+\" (?:not found|is forbidden)"
    r"|couldn't find key [\w.-]+ in (?:Secret|ConfigMap) "
    r"|(?:rpc error: code = \w+ desc = )?failed to (?:pull|resolve)|Failed to pull image |Back-off pulling image "
    r"|back-off \S+ restarting failed container"
    r"|container has runAsNonRoot |container's runAsUser breaks non-root policy "
    r"|failed to sync (?:secret|configmap) cache"
    r"|(?:Mount|Attach|Map)Volume\.|Unable to attach or mount |Error creating: |\d+/\d+ nodes are available"
    r"|The node was low on resource|Pod was |Node didn't have enough resource|Failed to create pod sandbox: "
    r"|cannot find volume \"[\w.-]+\" to mount "
    r")"
)
"""How Kubernetes begins what it says of its own objects: it knows their names, and no values."""

_ABOUT_A_PROCESS: Final = re.compile(
    r"(?i)\b(?:put|set)?env(?:s|from|iron\w*|_\w*)?\b|oci runtime|\b(?:runc|crun|youki|runsc|kata|sysbox-runc)\b"
    r"|libcontainer|libcrun|container_linux|\bshim\b|container (?:create|start|process|init|config)|init process"
    r"|\bexec|executable|\bargv?\b|\bargs\b|argument|subpath|keyvalue|marshal|utf-?8|\bnul\b|null byte|lifecycle|hook"
    r"|command"
)
"""Words about how a process is made: only they can repeat its environment, or its arguments with values put in."""

_OF_A_RUNTIME: Final = re.compile(
    r"(?i)(?:failed to (?:create|start) (?:containerd |shim )?(?:task|container)|container create failed"
    r"|oci runtime|(?:runc|crun|youki|runsc|kata)\b)"
)

_WORDS: Final = """
    $path a absolute after all already an and another any apparmor apply are arg args argument arguments argv as at
    available back bad be been before being binary but by byte bytes call called can can't cannot capabilities caused
    cgroup cgroups change changing chdir child clone close closed code command commands config configuration connect
    connection construct contain container container_linux.go containerd containermanager.startroot contains content
    context could couldn't cpu create created creating crun daemon data deadline decode denied desc descriptor device
    did didn't directory does doesn't double due during empty entry env environ environment envvars eof error errors
    exceeded exec executable execute execve exist exists exit exited expected failed failure fd field fields file
    files find for fork fork/exec format found freeze from generate get getting gid group grpc had handler handshake
    has have hook hooks id in init initial input insufficient internal interrupted invalid invoke io is isn't it its
    json kata kernel key keyvalue kill killed least level libcontainer libcrun lifecycle limit line linux list load
    log logs long lookup loop lstat make many map marshal marshaling marshalling memory message method missing mkdir
    mode module mount mounting must name namespace namespaces new nil no non not nsenter nul null number object oci
    of on once only open openat openat2 operation or os other out output overflow parse parsing passed path paths
    permission permitted pid pids pipe prepare process procready proto protocol provision pull pulled putenv range
    reached read readonly ready received refused relative request required reserve reserved reset resource response
    rlimits rootfs rpc run runc running runsc runtime runtime-spec sandbox seccomp selinux server services set setenv
    setgid setgroups setns setting setuid setup shell shim short should signal size small socket space spec specified
    standard start started starting stat state status stderr stdin stdout still string subpath such support supported
    symlink sync syscall sysctl system systemd task temporarily terminate terminated than that the then there this
    through time timed timeout to too type uid unable unavailable unexpected unix unknown unmarshal unmarshaling
    unmarshalling unsupported up urpc usage use used user utf-8 valid validate validation value values variable
    variables version volume volumemount wait waiting was wasn't were while with within word words workdir working
    write wrong yet youki
"""
_KNOWN: Final = frozenset(_WORDS.split())
"""What runtimes say whatever the values are."""

_HOOK_BY_KIND: Final = re.compile(r"(Exec|HTTP|Sleep) lifecycle hook \(")
_HOOK_BY_NAME: Final = re.compile(r"(PostStart|PreStop)Hook failed(?: in container ([a-z0-9-]{1,63}))?")
_CALLED: Final = {"PostStart": "postStart", "PreStop": "preStop"}
_PART_OF_A_HOOK: Final = {"Exec": "command", "HTTP": "HTTP request", "Sleep": "sleep"}
_HOOK_REASON: Final = re.compile(r"Failed(PostStart|PreStop)Hook")
_FIELD_OF_A_CONTAINER: Final = re.compile(
    r"spec\.(?:containers|initContainers|ephemeralContainers)\{([a-z0-9-]{1,63})\}"
)

_BY_A_LOGGER: Final = re.compile(r'time="[^"]{0,64}" level=\w{1,16} msg="((?:[^"\\]|\\.)*)"?\s*')
_ASSIGNED: Final = re.compile(r"=(?=\S)")
_PARTS: Final = "\"'`,;()[]{}=<>"
"""What stands around words, or between them."""
_WORD: Final = re.compile(r"(?i:\b(?:ca|could|did|does|is|was)n?'t\b)|[^\s\"'`:,;()\[\]{}=<>]+")
_CHARACTERS: Final = 4096
_NAME_CHARACTERS: Final = 512
_MESSAGE_CHARACTERS: Final = 2048
_LEFT_OUT: Final = "…"
_RUN: Final = re.compile(r"[^\s:]+")
_LEFT_OUT_AT_ONCE: Final = re.compile(r"…(?:[\s\"'`:,;()\[\]{}=<>]*…)+")


def _whole(found: re.Match[str]) -> str:
    """Leave out what no space parts from something left out: a value may hold quotes, and words that are known."""
    run = found[0]
    if _LEFT_OUT not in run:
        return run
    before, after = len(run) - len(run.lstrip(_PARTS)), len(run.rstrip(_PARTS))
    return run[:before] + _LEFT_OUT + run[after:]


def _without_assigned(message: str, written: AbstractSet[str]) -> tuple[str, str]:
    """Return what stands before the first ``NAME=value``, and its name: nothing says where the value ends."""
    found = _ASSIGNED.search(message)
    if not found:
        return message, ""
    before = message[: found.start()]
    words = _WORD.findall(before[-_NAME_CHARACTERS:])
    name = words[-1] if words and before.endswith(words[-1]) and words[-1] in written else _LEFT_OUT
    return before.removesuffix(name), f"{name}={_LEFT_OUT}"


def _only_known_words(message: str, written: AbstractSet[str]) -> str:
    """Return ``message`` without any word that is neither a runtime's own nor in ``written``."""

    def known(found: re.Match[str]) -> str:
        word = found[0]
        return word if word in written or word.strip(".!?").lower() in _KNOWN else _LEFT_OUT

    message = _BY_A_LOGGER.sub(lambda found: found[1].replace('\\"', '"').replace("\\\\", "\\"), message)
    message, assigned = _without_assigned(message, written)
    found = _LEFT_OUT_AT_ONCE.sub(_LEFT_OUT, _RUN.sub(_whole, _WORD.sub(known, message)) + assigned)
    return found + '"' if found.count('"') % 2 else found


def of_an_event(reason: str, field_path: str, message: str) -> str:
    """Return the message of a kubelet's event; about a lifecycle hook it names hook and container, and nothing else.

    Older kubelets quote the hook's command and its output there, newer ones do not even name the container.
    """
    hook, container = _HOOK_REASON.fullmatch(reason), _FIELD_OF_A_CONTAINER.fullmatch(field_path)
    if not hook:
        return message
    return f"{hook[1]}Hook failed{f' in container {container[1]}' if container else ''}"


def _about_a_hook(message: str) -> str:
    """Return in our words what a kubelet says of a lifecycle hook that failed; empty: it is about something else.

    The kubelet quotes the hook's command and output, which may hold any value (pkg/kubelet/lifecycle/handlers.go).
    """
    if named := _HOOK_BY_NAME.fullmatch(message):
        hook, whose = _CALLED[named[1]], f"container {named[2]}" if named[2] else "a container"
        return f"the {hook} hook of {whose} failed; check lifecycle.{hook} in the pod's spec"
    if found := _HOOK_BY_KIND.match(message):
        part = _PART_OF_A_HOOK[found[1]]
        return f"the {part} of a lifecycle hook failed; check the container's lifecycle in the pod's spec"
    return ""


def without_values(message: str, written: AbstractSet[str] = frozenset(), *, of_a_runtime: bool = False) -> str:
    """Return what a runtime or kubelet says about a container, without values that only it knows.

    Any value of a Secret can stand there: in a variable, or in an argument that was made of one. So of what is said
    about a process, only words stay that runtimes always use, and ``written``, what stands in the pod's own manifest.
    ``of_a_runtime`` says that the message is, whatever its words are.
    """
    if hook := _about_a_hook(message):
        return hook
    if _OF_KUBERNETES.match(message):
        return message[:_CHARACTERS]
    if not of_a_runtime and not _ABOUT_A_PROCESS.search(message[:_CHARACTERS]):
        return message[:_CHARACTERS]
    return _only_known_words(message[:_CHARACTERS], written)


def by_a_runtime(message: str) -> bool:
    """Return whether a message about a container's end is the runtime's, not the program's own."""
    return bool(_OF_A_RUNTIME.match(message))


def shortened(message: str, characters: int = _MESSAGE_CHARACTERS) -> str:
    """Return ``message`` as a status tells it: at most that many characters of it."""
    return message if len(message) <= characters else message[: characters - 1] + "…"
