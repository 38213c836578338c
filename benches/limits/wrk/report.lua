done = function(summary)
  local errors = summary.errors
  print(string.format('{"requests": %d, "seconds": %f, "refused": %d, "broken": %d}', summary.requests,
    summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
