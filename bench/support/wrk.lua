-- Arguments: method, path, number of keys (path-0, path-1, …; behind a path that ends in "/" 64 hex digits; 0: the path itself), body bytes,
-- milliseconds each connection waits before a request, the field Authorization or nothing. Prints one line of JSON.
local requests = {}
local turn = 0

function init(args)
  local method, path, keys, size, wait = args[1], args[2], tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  if args[6] ~= nil and args[6] ~= "" then wrk.headers["Authorization"] = args[6] end
  if wait > 0 then delay = function() return wait end end
  local body = size > 0 and string.rep("0123456789abcdef", size / 16) or nil
  if keys == 0 then requests[1] = wrk.format(method, path, nil, body) end
  local name = path .. (path:sub(-1) == "/" and "%064x" or "-%d")
  for key = 0, keys - 1 do requests[key + 1] = wrk.format(method, name:format(key), nil, body) end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\n{"requests":%d,"bytes":%d,"microseconds":%d,"p50":%d,"p99":%d,"errors":%d}\n', summary.requests,
    summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
