obj.spec.stop = true
return obj
