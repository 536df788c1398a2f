-- A Pipeline is healthy when its spec is accepted and its schedule in place. A failed Job is reported, but does not degrade it.
local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not processed this version of the Pipeline yet."}
end

local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local function holds(name)
  return found[name] ~= nil and found[name].status == "True"
end

if holds("Stalled") then
  return {status = "Degraded", message = found.Stalled.reason .. ": " .. found.Stalled.message}
end
if not holds("Ready") then
  local why = found.Reconciling or found.Ready
  return {status = "Progressing", message = why and why.reason .. ": " .. why.message or "No condition yet."}
end
local message = found.Ready.message
if found.LastJobSucceeded ~= nil and not holds("LastJobSucceeded") then
  message = message .. " " .. found.LastJobSucceeded.message
end
return {status = "Healthy", message = message}
