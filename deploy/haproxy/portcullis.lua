-- Asks Portcullis whether a request may pass:
--
--   http-request lua.portcullis <address> <path of the door> <milliseconds> <identity header>,<identity header>...
--
-- Sets the variable `txn.portcullis_allows` on a yes, and on nothing else: an error in here, a timeout or an answer that
-- is no verdict leaves it unset, and the configuration denies what has it unset. A no is answered as Portcullis says.

-- What is not passed on to Portcullis: what speaks of the connection or of the body, and what is said in our own words.
local NOT_ASKED = {
    ["host"] = true,
    ["connection"] = true,
    ["keep-alive"] = true,
    ["proxy-connection"] = true,
    ["te"] = true,
    ["trailer"] = true,
    ["transfer-encoding"] = true,
    ["content-length"] = true,
    ["expect"] = true,
    ["upgrade"] = true,
    ["x-forwarded-method"] = true,
    ["x-forwarded-proto"] = true,
    ["x-forwarded-host"] = true,
    ["x-forwarded-uri"] = true,
    ["x-forwarded-for"] = true,
}

-- What of a denial HAProxy writes itself.
local NOT_ANSWERED = {
    ["connection"] = true,
    ["keep-alive"] = true,
    ["transfer-encoding"] = true,
    ["content-length"] = true,
    ["date"] = true,
}

-- The headers that Portcullis alone may set on a request, by the argument that lists them.
local identity_headers = {}

local function names_in(argument)
    local names = identity_headers[argument]
    if not names then
        names = { ["x-portcullis-decision-id"] = true }
        for name in argument:gmatch("[^,]+") do
            names[name:lower()] = true
        end
        identity_headers[argument] = names
    end
    return names
end

-- HAProxy counts values from 0, and its client takes them in the order of a Lua list.
local function list(values)
    local made = {}
    local index = 0
    while values[index] ~= nil do
        made[#made + 1] = values[index]
        index = index + 1
    end
    return made
end

-- Takes the identity headers that the client sent off the request, in every spelling: many upstreams cannot tell
-- x_auth_name from x-auth-name. Returns what Portcullis is to be asked with.
local function question(txn, ours)
    local headers = {}
    local host = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if name == "host" then
            host = list(values)
        elseif ours[(name:gsub("_", "-"))] then
            txn.http:req_del_header(name)
        elseif not NOT_ASKED[name] then
            headers[name] = list(values)
        end
    end
    headers["x-forwarded-method"] = { txn.f:method() }
    headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
    headers["x-forwarded-host"] = host
    headers["x-forwarded-uri"] = { txn.f:pathq() }
    headers["x-forwarded-for"] = { tostring(txn.f:src()) }
    return headers
end

-- A header for which HAProxy's buffer has no room is not set, and nothing says so: hence the second look.
local function allow(txn, answer, ours)
    for name in pairs(ours) do
        local values = answer.headers[name]
        if values and values[0] and values[0] ~= "" then
            txn.http:req_set_header(name, values[0])
        end
    end
    local headers = txn.http:req_get_headers()
    for name in pairs(ours) do
        local said = answer.headers[name] and answer.headers[name][0] or ""
        local set = headers[name] and headers[name][0] or ""
        if said ~= set then
            txn:Warning("portcullis: no room for " .. name .. " in the request: raise tune.bufsize")
            return
        end
    end
    txn:set_var("txn.portcullis_allows", true)
end

local function deny(txn, answer)
    local reply = txn:reply({ status = answer.status, body = answer.body })
    for name, values in pairs(answer.headers) do
        if not NOT_ANSWERED[name] then
            for _, value in ipairs(list(values)) do
                reply:add_header(name, value)
            end
        end
    end
    txn:done(reply)
end

local function portcullis(txn, address, path, milliseconds, names)
    local ours = names_in(names)
    local answer = core.httpclient():get({
        url = "http://" .. address .. path,
        headers = question(txn, ours),
        timeout = tonumber(milliseconds),
    })
    if answer.status == 200 then
        allow(txn, answer, ours)
    elseif answer.status == 302 or (answer.status >= 400 and answer.status < 500) then
        deny(txn, answer)
    end
end

core.register_action("portcullis", { "http-req" }, portcullis, 4)
