/* A libnvidia-ml.so.1 with known watts; see nvml.py for the FAKE_NVML_* variables. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID = 2, UNSUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, POWER_INSTANT = 186 };
typedef struct { uint32_t field, scope; int64_t at, latency; int32_t type, result; union { double d; uint32_t ui; uint64_t ull; } value; } Field;
typedef struct { uint32_t pid, padding; uint64_t memory; uint32_t instance, compute; } Process;
typedef struct { uint32_t pid; uint64_t at; uint32_t sm, mem, enc, dec; } Use;
typedef struct { uint32_t multiprocessors, copies, decoders, encoders, jpegs, ofas, gpu_slices, compute_slices; uint64_t memory; } Attributes;

static double number(const char *name, double otherwise) { const char *text = getenv(name); return text && *text ? atof(text) : otherwise; }
static int switched(const char *name) { return number(name, 0) != 0; }
static double watts(long index) {
    char name[40];
    snprintf(name, sizeof name, "FAKE_NVML_WATTS_%ld", index);
    return number(name, number("FAKE_NVML_WATTS", 300));
}
static double seconds(void) { struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now); return now.tv_sec + now.tv_nsec / 1e9; }

/* A handle is the index plus one; that of a MIG slice lies 100 higher. */
int nvmlInit_v2(void) { return switched("FAKE_NVML_BROKEN") ? 9 : SUCCESS; }
int nvmlInit(void) { return nvmlInit_v2(); }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the fake NVML"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "0.0 (fake)"); return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)number("FAKE_NVML_COUNT", 1); return SUCCESS; }
int nvmlDeviceGetCount(unsigned *count) { return nvmlDeviceGetCount_v2(count); }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(uintptr_t)(index + 1);
    return index < number("FAKE_NVML_COUNT", 1) ? SUCCESS : INVALID;
}
int nvmlDeviceGetHandleByIndex(unsigned index, void **device) { return nvmlDeviceGetHandleByIndex_v2(index, device); }
int nvmlDeviceGetIndex(void *device, unsigned *index) { *index = (unsigned)((uintptr_t)device % 100 - 1); return SUCCESS; }
int nvmlDeviceGetName(void *device, char *text, unsigned size) { (void)device; snprintf(text, size, "Fake GPU"); return SUCCESS; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
    snprintf(text, size, "GPU-%d0000000-fake", (int)((uintptr_t)device % 100 - 1));
    return SUCCESS;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    int mig = !strncmp(uuid, "MIG-", 4);
    *device = (void *)(uintptr_t)(atoi(uuid + 4) / 10000000 + 1 + (mig ? 100 : 0));
    return mig || !strncmp(uuid, "GPU-", 4) ? SUCCESS : NOT_FOUND;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *part, void **device) { *device = (void *)((uintptr_t)part % 100); return SUCCESS; }
int nvmlDeviceGetAttributes_v2(void *part, Attributes *found) {
    (void)part;
    memset(found, 0, sizeof *found);
    found->gpu_slices = (uint32_t)number("FAKE_NVML_SLICES", 1);
    return SUCCESS;
}
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
    double period = number("FAKE_NVML_PERIOD_S", 0), now = seconds();
    if (switched("FAKE_NVML_NO_COUNTER")) return UNSUPPORTED;
    if (period > 0) now = (double)(long long)(now / period) * period;
    double energy = watts((long)((uintptr_t)device % 100) - 1) * now * 1000 - number("FAKE_NVML_RESET_MJ", 0);
    *mj = energy > 0 ? (unsigned long long)energy : 0;
    return SUCCESS;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *mw) {
    *mw = (unsigned)(watts((long)((uintptr_t)device % 100) - 1) * 1000);
    return switched("FAKE_NVML_NO_POWER") ? UNSUPPORTED : SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *mw) { (void)device; *mw = 700000; return SUCCESS; }
int nvmlDeviceGetFieldValues(void *device, int count, Field *fields) {
    for (int i = 0; i < count; i++) {
        unsigned mw = 0;
        nvmlDeviceGetPowerUsage(device, &mw);
        fields[i].result = fields[i].field == POWER_INSTANT && !switched("FAKE_NVML_NO_INSTANT") ? SUCCESS : UNSUPPORTED;
        fields[i].value.ui = mw;
    }
    return SUCCESS;
}

/* FAKE_NVML_PROCESSES="pid:sm,pid:sm" */
static unsigned users(uint32_t *pids, uint32_t *sm, unsigned room) {
    char text[400] = "", *rest = text, *entry;
    unsigned found = 0;
    strncpy(text, getenv("FAKE_NVML_PROCESSES") ? getenv("FAKE_NVML_PROCESSES") : "", sizeof text - 1);
    while (found < room && (entry = strtok_r(rest, ",", &rest))) {
        pids[found] = (uint32_t)atoi(entry);
        sm[found++] = strchr(entry, ':') ? (uint32_t)atoi(strchr(entry, ':') + 1) : 0;
    }
    return found;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, Process *processes) {
    uint32_t pids[32], sm[32];
    unsigned found = users(pids, sm, 32), room = *count;
    (void)device;
    *count = found;
    if (found > room) return TOO_SMALL;
    for (unsigned i = 0; i < found; i++) processes[i] = (Process){.pid = pids[i]};
    return SUCCESS;
}
int nvmlDeviceGetProcessUtilization(void *device, Use *uses, unsigned *count, unsigned long long since) {
    uint32_t pids[32], sm[32];
    unsigned found = users(pids, sm, 32), room = *count;
    (void)device;
    (void)since;
    *count = found;
    if (!found || switched("FAKE_NVML_NO_USE")) return NOT_FOUND;
    if (found > room) return TOO_SMALL;
    for (unsigned i = 0; i < found; i++) uses[i] = (Use){.pid = pids[i], .at = (uint64_t)(seconds() * 1e6), .sm = sm[i]};
    return SUCCESS;
}

/* What other tools ask before they measure. */
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) { (void)device; memory[0] = 80ULL << 30; memory[1] = memory[0]; memory[2] = 0; return SUCCESS; }
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) { (void)device; (void)sensor; *celsius = 40; return SUCCESS; }
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) { (void)device; rates[0] = 50; rates[1] = 10; return SUCCESS; }
int nvmlDeviceGetComputeMode(void *device, int *mode) { (void)device; *mode = 0; return SUCCESS; }
int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *mw) { return nvmlDeviceGetEnforcedPowerLimit(device, mw); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, Process *processes) { (void)device; (void)processes; *count = 0; return SUCCESS; }
