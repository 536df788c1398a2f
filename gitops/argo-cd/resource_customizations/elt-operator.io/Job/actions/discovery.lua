local status = obj.status or {}
local ended = status.phase ~= nil and status.phase ~= "QUEUED" and status.phase ~= "RUNNING"

return {
  stop = {disabled = ended or obj.spec.stop == true, iconClass = "fa fa-fw fa-stop", displayName = "Stop"}
}
