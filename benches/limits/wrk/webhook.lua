
-- What a CRM reports: a deal that has changed, of some 900 bytes. Each is another event.
local body = '{"data":{"id":178,"title":"%s","stage_id":12,"person_id":179,"org_id":130,"owner_id":26510409,"value":0,"currency":"BRL",' ..
  '"status":"open","custom_fields":{},"label_ids":[],"add_time":"2026-05-27T06:54:41Z"},"previous":{"stage_id":11},' ..
  '"meta":{"action":"change","company_id":"13881612","entity_id":"178","entity":"deal","id":"%d-%d","is_bulk_edit":false,' ..
  '"timestamp":"2026-05-27T06:54:41.426Z","type":"general","user_id":"26510409","version":"2.0","webhook_id":"1872755","attempt":1}}'
local title, run, number = string.rep("x", 400), 0, 0

init = function(args)
  run = os.time() * 1000 + math.random(0, 999)
end

request = function()
  number = number + 1
  return wrk.format("POST", "/webhook", {["Content-Type"] = "application/json"}, string.format(body, title, run, number))
end
