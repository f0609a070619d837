-- greenai: lets a job begin at the clean hour. Runs as the user, inside sbatch, before the job is sent.
-- slurm.conf: CliFilterPlugins=lua
--
-- It touches only jobs that ask for it, by --comment=greenai:finish-by=24h or by the variable
-- SLURM_GREENAI_FINISH_BY=24h; DEFAULT_FINISH_BY asks for all. A job that has a --begin keeps it.
-- It fails open: whatever goes wrong, the job is submitted as it was, and the user is told why.

local DEFAULT_FINISH_BY = nil
local GREENAI = os.getenv("SLURM_GREENAI_PROGRAM") or "greenai"
local AT_MOST_S = 5
local NO_LIMIT_DAYS = 3650

-- Slurm 22.05 writes "Unknown" for an option that was not given, and an absurd number of days for no limit; newer ones nil.
local function given(value)
  if value == nil or value == "" or value == "Unknown" or value == "unset" or value == "INVALID" then return nil end
  return tostring(value)
end

local function limit(value)
  local text = given(value)
  if text == nil or text == "UNLIMITED" or text == "INFINITE" then return nil end
  local days = tonumber(string.match(text, "^(%d+)-"))
  if days ~= nil and days > NO_LIMIT_DAYS then return nil end
  return text
end

local function asked(options)
  local comment = given(options["comment"]) or ""
  return string.match(comment, "greenai:finish%-by=([%w%.:%-]+)") or given(os.getenv("SLURM_GREENAI_FINISH_BY")) or DEFAULT_FINISH_BY
end

-- Only these characters reach the shell of io.popen.
local function safe(text) return string.match(text, "^[%w%.:%-]+$") ~= nil end

local function plan(options)
  local finish_by = asked(options)
  if finish_by == nil or given(options["begin"]) ~= nil then return end
  local time = limit(options["time"])
  if time == nil then
    slurm.log_info("greenai: the job has no --time, so it starts as soon as there is room")
    return
  end
  if not (safe(time) and safe(finish_by)) or string.match(GREENAI, "^[%w%./_%-]+$") == nil then
    slurm.log_info("greenai: cannot read %s and %s, so the job starts as soon as there is room", time, finish_by)
    return
  end
  local command = string.format("timeout %d %s slurm begin --limit %s --finish-by %s 2>/dev/null", AT_MOST_S, GREENAI, time, finish_by)
  local pipe = io.popen(command)
  local line = pipe and pipe:read("*l") or nil
  if pipe then pipe:close() end
  local second, reason = string.match(line or "", "^(%d+) (.*)$")
  second = tonumber(second)
  if second == nil then
    slurm.log_info("greenai: no plan within %d s, so the job starts as soon as there is room", AT_MOST_S)
  elseif second == 0 then
    slurm.log_info("greenai: runs now: %s", reason)
  else
    options["begin"] = os.date("%Y-%m-%dT%H:%M:%S", second)
    slurm.log_info("greenai: begins %s: %s", os.date("%a %H:%M", second), reason)
  end
end

function slurm_cli_setup_defaults(options, early_pass) return slurm.SUCCESS end

function slurm_cli_pre_submit(options, pack_offset)
  local fine, problem = pcall(plan, options)
  if not fine then slurm.log_info("greenai: %s, so the job starts as soon as there is room", tostring(problem)) end
  return slurm.SUCCESS
end

function slurm_cli_post_submit(offset, job_id, step_id) return slurm.SUCCESS end

return slurm.SUCCESS
