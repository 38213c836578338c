
-- Made once, so that a request costs the generator no more than the next of a list.
local requests, next = {}, 0

init = function(args)
  local key, channel, recipient = args[1], args[2], args[3]
  local headers = {["Content-Type"] = "application/json", ["X-API-Key"] = key}
  for number = 1, 1000 do
    local body = string.format('{"channel":"%s","channelInstanceId":"limits","remoteJid":"%s%09d","message":"%s"}',
      channel, recipient, number, string.rep("x", 100))
    requests[number] = wrk.format("POST", "/api/messaging/message/send", headers, body)
  end
end

request = function()
  next = next % 1000 + 1
  return requests[next]
end
