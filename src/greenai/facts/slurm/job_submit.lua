-- greenai: lets a job begin at the clean hour. Runs inside slurmctld: no network and no other program here, only a small
-- file that cron keeps fresh:    */20 * * * *  greenai slurm slots --to /var/lib/greenai/slots
-- slurm.conf: JobSubmitPlugins=lua
--
-- It touches only jobs that ask for it by --comment=greenai:finish-by=24h (hours, or days as 2d). A job that has a
-- --begin keeps it. It fails open: whatever goes wrong, the job is taken as it was, and the user is told why.

local SLOTS = "/var/lib/greenai/slots"
local LEAST_SAVING = 0.03

local function asked_s(job_desc)
  local amount, unit = string.match(job_desc.comment or "", "greenai:finish%-by=(%d+)([hd])")
  if amount == nil then return nil end
  return tonumber(amount) * (unit == "d" and 86400 or 3600)
end

-- The line of a partition: first second, step in seconds, intensities.
local function read(partition)
  local file, found = io.open(SLOTS, "r"), nil
  if file == nil then return nil, "there is no " .. SLOTS end
  for line in file:lines() do
    local name, rest = string.match(line, "^(%S+) (.*)$")
    if name == partition or (name == "*" and found == nil) then found = rest end
  end
  file:close()
  if found == nil then return nil, "nothing is known of partition " .. partition end
  local numbers = {}
  for word in string.gmatch(found, "%S+") do numbers[#numbers + 1] = tonumber(word) end
  return numbers, nil
end

-- Mean intensity of a run from one second to another; nil where it is not known.
local function mean(numbers, from, to)
  local first, step, sum, at = numbers[1], numbers[2], 0, from
  while at < to do
    local slot = math.floor((at - first) / step)
    local value = slot >= 0 and numbers[slot + 3] or nil
    if value == nil then return nil end
    local stop = math.min(to, first + (slot + 1) * step)
    sum, at = sum + value * (stop - at), stop
  end
  return sum / (to - from)
end

local function plan(job_desc)
  local slack_s = asked_s(job_desc)
  if slack_s == nil or (job_desc.begin_time or 0) ~= 0 then return end
  local minutes = job_desc.time_limit
  if minutes == nil or minutes <= 0 or minutes >= slurm.NO_VAL then return "the job has no --time" end
  local numbers, problem = read(job_desc.partition or job_desc.default_partition or "*")
  if numbers == nil then return problem end
  local now, length_s = os.time(), minutes * 60
  local at_once = mean(numbers, now, now + length_s)
  if at_once == nil then return "the forecast does not reach from now to the end of the job" end
  local best, best_at = at_once, nil
  local first, step = numbers[1], numbers[2]
  for slot = math.floor((now - first) / step) + 1, #numbers - 3 do
    local at = first + slot * step
    if at + length_s > now + slack_s then break end
    local then_g = mean(numbers, at, at + length_s)
    if then_g ~= nil and then_g < best then best, best_at = then_g, at end
  end
  if best_at == nil or best > at_once * (1 - LEAST_SAVING) then
    slurm.log_user("greenai: runs now: no later hour is cleaner by %d %%", LEAST_SAVING * 100)
    return
  end
  job_desc.begin_time = best_at
  slurm.log_user("greenai: begins %s, at %.0f gCO2e/kWh instead of %.0f", os.date("%a %H:%M", best_at), best, at_once)
end

function slurm_job_submit(job_desc, part_list, submit_uid)
  local fine, problem = pcall(plan, job_desc)
  if problem ~= nil then slurm.log_user("greenai: %s, so the job starts as soon as there is room", tostring(problem)) end
  return slurm.SUCCESS
end

function slurm_job_modify(job_desc, job_rec, part_list, modify_uid) return slurm.SUCCESS end

return slurm.SUCCESS
