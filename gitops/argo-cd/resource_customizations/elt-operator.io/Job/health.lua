-- A Job is under way until it ends; a failed one degrades the application that has it. Its end is final, so it counts
-- even if the spec was changed later (spec.stop).
local verdicts = {COMPLETE = "Healthy", ERROR = "Degraded", STOPPED = "Degraded", UNKNOWN = "Degraded"}
local status = obj.status or {}

local message = "The operator has not processed the Job yet."
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Succeeded" then
    message = condition.reason .. ": " .. condition.message
  end
end

return {status = verdicts[status.phase] or "Progressing", message = message}
