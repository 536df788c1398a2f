-- Makes a Job. It belongs to the Pipeline, so Argo CD shows it below, and does not prune what is in no repository.
-- The time in seconds keeps its name below 63 characters, for a Pipeline's has at most 52.
local os = require("os")

local job = {
  apiVersion = obj.apiVersion,
  kind = "Job",
  metadata = {
    name = obj.metadata.name .. "-" .. os.time(),
    namespace = obj.metadata.namespace,
    ownerReferences = {
      {apiVersion = obj.apiVersion, kind = obj.kind, name = obj.metadata.name, uid = obj.metadata.uid}
    }
  },
  spec = {pipelineName = obj.metadata.name}
}

return {{operation = "create", resource = job}}
