local scheduled = obj.spec.schedule ~= nil
local suspended = obj.spec.suspend == true

return {
  ["run-now"] = {iconClass = "fa fa-fw fa-play", displayName = "Run now"},
  suspend = {disabled = not scheduled or suspended, iconClass = "fa fa-fw fa-pause", displayName = "Suspend"},
  resume = {disabled = not scheduled or not suspended, iconClass = "fa fa-fw fa-clock", displayName = "Resume"}
}
