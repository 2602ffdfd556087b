-- Each line of the file given is a request: a method, a path and, where there is one, a body. With "once", every line is sent
-- once and the threads share them out; otherwise lines are drawn at random. Of a header that is given several times, each request has
-- the next value.
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  mode, lines = args[3], {}
  for line in io.lines(args[1]) do lines[#lines + 1] = line end
  nextline = number + 1
  headers, values, turn = { ["Content-Type"] = "application/json" }, {}, 0
  for line in args[2]:gmatch("[^\n]+") do
    local name, value = line:match("^([^:]+): (.*)$")
    values[name] = values[name] or {}
    table.insert(values[name], value)
    headers[name] = value
  end
  math.randomseed(number + 1)
end

function request()
  local line
  if mode == "once" then
    line = lines[nextline] or lines[#lines]
    nextline = nextline + 2
  else
    line = lines[math.random(#lines)]
  end
  turn = turn + 1
  for name, given in pairs(values) do
    if #given > 1 then headers[name] = given[turn % #given + 1] end
  end
  local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
  return wrk.format(method, path, headers, body ~= "" and body or nil)
end
