/* A CUDA device that accepts every call and computes nothing.

Loaded before CUDA's libraries, it answers for cudart, libcuda, cuBLAS, cuDNN and NCCL. Device memory is memory of the
host, and copies to and from it are made. Kernels are only logged, so values on the device stay zero; code paths,
launches, copies, synchronizations, captures and memory are those of a real device. One line of the log is
"KIND DEVICE STREAM BYTES NAME".

NULL_GPU_DEVICES     number of devices, 1 if not set
NULL_GPU_BYTES       memory of each, 141 GiB if not set
NULL_GPU_LOG         where each process writes its log, followed by ".PID"
NULL_GPU_NO_PINNING  if set, cudaHostRegister is refused
NULL_GPU_NO_COPIES   if set, copies within a device are only logged, for measuring the host's time
*/
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cuda.h"
#include "driver_types.h"
#undef cuDevicePrimaryCtxRelease

#define RUNTIME 13020
#define FOUND(pointer, value) (*(pointer) = (value), 0)
typedef struct { unsigned x, y, z; } Grid;

/* Log */
static FILE *log_file;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int device;

static void note(const char *kind, const void *stream, const char *name, size_t bytes) {
    if (!log_file) return;
    pthread_mutex_lock(&lock);
    fprintf(log_file, "%s %d %lx %zu %s\n", kind, device, (unsigned long)stream, bytes, name);
    pthread_mutex_unlock(&lock);
}

void null_gpu_mark(const char *name, size_t graphs) {
    note("mark", 0, name, graphs);
    if (log_file) fflush(log_file);
}

static void open_log(void) {
    const char *path = getenv("NULL_GPU_LOG");
    char own[4096];
    if (!path) return;
    snprintf(own, sizeof own, "%s.%d", path, getpid());
    log_file = fopen(own, "w");
}

__attribute__((constructor)) static void start(void) {
    open_log();
    pthread_atfork(NULL, NULL, open_log);
}

/* Memory: which ranges of addresses are on a device or pinned */
enum { PAGEABLE, DEVICE, PINNED };
typedef struct { uintptr_t first; size_t bytes; int kind, device; } Range;
static Range ranges[1 << 16];
static int range_count;
static size_t held[16], peak[16];

static size_t memory(void) {
    const char *bytes = getenv("NULL_GPU_BYTES");
    return bytes ? strtoull(bytes, NULL, 10) : 141ull << 30;
}

static void add_range(const void *first, size_t bytes, int kind) {
    pthread_mutex_lock(&lock);
    ranges[range_count++] = (Range){(uintptr_t)first, bytes, kind, device};
    if (kind == DEVICE) {
        held[device] += bytes;
        if (held[device] > peak[device]) peak[device] = held[device];
    }
    pthread_mutex_unlock(&lock);
}

static Range drop_range(const void *first) {
    Range dropped = {0};
    pthread_mutex_lock(&lock);
    for (int i = 0; i < range_count; i++)
        if (ranges[i].first == (uintptr_t)first) {
            dropped = ranges[i];
            ranges[i] = ranges[--range_count];
            if (dropped.kind == DEVICE) held[dropped.device] -= dropped.bytes;
            break;
        }
    pthread_mutex_unlock(&lock);
    return dropped;
}

static Range range_of(const void *pointer) {
    Range found = {0};
    pthread_mutex_lock(&lock);
    for (int i = 0; i < range_count && !found.bytes; i++)
        if ((uintptr_t)pointer - ranges[i].first < ranges[i].bytes) found = ranges[i];
    pthread_mutex_unlock(&lock);
    return found;
}

/* Called where a process ends: the most memory that it had on each device, and all that is not yet in its log */
__attribute__((destructor)) void null_gpu_finish(void) {
    if (!log_file) return;
    for (int of = 0; of < 16; of++)
        if (peak[of]) fprintf(log_file, "peak %d 0 %zu \n", of, peak[of]);
    fclose(log_file);
    log_file = NULL;
}

int cudaMalloc(void **found, size_t bytes) {
    size_t held_now = held[device];
    if (held_now + bytes > memory()) return cudaErrorMemoryAllocation;
    *found = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (*found == MAP_FAILED) return cudaErrorMemoryAllocation;
    add_range(*found, bytes + 1, DEVICE);
    note("malloc", 0, "", bytes);
    return 0;
}
int cudaMallocAsync(void **found, size_t bytes, void *stream) { return cudaMalloc(found, bytes); }
int cudaFree(void *pointer) {
    Range dropped = drop_range(pointer);
    if (dropped.bytes) munmap(pointer, dropped.bytes);
    return 0;
}
int cudaFreeAsync(void *pointer, void *stream) { return cudaFree(pointer); }
int cudaHostAlloc(void **found, size_t bytes, unsigned flags) {
    *found = aligned_alloc(4096, (bytes + 4096) & ~4095ull);
    add_range(*found, bytes, PINNED);
    note("pin", 0, "alloc", bytes);
    return 0;
}
int cudaMallocHost(void **found, size_t bytes) { return cudaHostAlloc(found, bytes, 0); }
int cudaFreeHost(void *pointer) {
    drop_range(pointer);
    free(pointer);
    return 0;
}
static __thread int last_error;
int cudaHostRegister(void *pointer, size_t bytes, unsigned flags) {
    if (getenv("NULL_GPU_NO_PINNING")) return last_error = cudaErrorNotSupported;
    add_range(pointer, bytes, PINNED);
    note("pin", 0, "register", bytes);
    return 0;
}
int cudaHostUnregister(void *pointer) { return drop_range(pointer).bytes ? 0 : cudaErrorHostMemoryNotRegistered; }
int cudaPointerGetAttributes(struct cudaPointerAttributes *found, const void *pointer) {
    Range range = range_of(pointer);
    memset(found, 0, sizeof *found);
    found->type = range.kind == DEVICE ? cudaMemoryTypeDevice : range.kind == PINNED ? cudaMemoryTypeHost : 0;
    found->device = range.device;
    found->devicePointer = found->hostPointer = (void *)pointer;
    return 0;
}
int cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *total = memory();
    return FOUND(free_bytes, memory() - held[device]);
}
int cudaGetSymbolAddress(void **found, const void *symbol) { return cudaMalloc(found, 4096); }

static int copy(void *to, const void *from, size_t bytes, void *stream) {
    Range target = range_of(to), source = range_of(from);
    int is_device[2] = {source.kind == DEVICE, target.kind == DEVICE};
    const char *kinds[2][2] = {{"h2h", "h2d"}, {"d2h", "d2d"}};
    int is_pageable = (target.kind == PAGEABLE) || (source.kind == PAGEABLE);
    note(kinds[is_device[0]][is_device[1]], stream, is_pageable ? "pageable" : "pinned", bytes);
    if (!is_device[0] || !is_device[1] || !getenv("NULL_GPU_NO_COPIES")) memcpy(to, from, bytes);
    if (is_device[0] && !is_device[1] && bytes == 1) *(char *)to = 1; /* a truth: whether values are finite */
    return 0;
}
int cudaMemcpy(void *to, const void *from, size_t bytes, int kind) {
    note("sync", 0, "memcpy", 0);
    return copy(to, from, bytes, 0);
}
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) {
    return copy(to, from, bytes, stream);
}
int cudaMemcpyPeerAsync(void *to, int a, const void *from, int b, size_t bytes, void *stream) {
    return copy(to, from, bytes, stream);
}

/* Devices */
int cudaGetDeviceCount(int *found) {
    const char *count = getenv("NULL_GPU_DEVICES");
    return FOUND(found, count ? atoi(count) : 1);
}
int cudaGetDevice(int *found) { return FOUND(found, device); }
int cudaSetDevice(int chosen) {
    device = chosen;
    return 0;
}
int cudaDriverGetVersion(int *found) { return FOUND(found, CUDA_VERSION); }
int cudaRuntimeGetVersion(int *found) { return FOUND(found, CUDA_VERSION); }
int cudaGetDeviceProperties(struct cudaDeviceProp *found, int of) {
    memset(found, 0, sizeof *found);
    strcpy(found->name, "null GPU");
    found->uuid.bytes[0] = of + 1;
    found->totalGlobalMem = memory();
    found->sharedMemPerBlock = 49152;
    found->sharedMemPerBlockOptin = 232448;
    found->sharedMemPerMultiprocessor = 233472;
    found->regsPerBlock = found->regsPerMultiprocessor = 65536;
    found->warpSize = 32;
    found->maxThreadsPerBlock = found->maxThreadsDim[0] = found->maxThreadsDim[1] = 1024;
    found->maxThreadsDim[2] = 64;
    found->maxGridSize[0] = 2147483647;
    found->maxGridSize[1] = found->maxGridSize[2] = 65535;
    found->major = 9;
    found->textureAlignment = 512;
    found->multiProcessorCount = 132;
    found->maxThreadsPerMultiProcessor = 2048;
    found->maxBlocksPerMultiProcessor = 32;
    found->l2CacheSize = 60 << 20;
    found->memoryBusWidth = 6144;
    found->pciBusID = of + 1;
    found->concurrentKernels = found->unifiedAddressing = found->canMapHostMemory = found->cooperativeLaunch = 1;
    return 0;
}
int cudaDeviceGetAttribute(int *found, enum cudaDeviceAttr attribute, int of) {
    switch (attribute) {
        case cudaDevAttrMultiProcessorCount: return FOUND(found, 132);
        case cudaDevAttrComputeCapabilityMajor: return FOUND(found, 9);
        case cudaDevAttrComputeCapabilityMinor: return FOUND(found, 0);
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: return FOUND(found, 232448);
        case cudaDevAttrMaxSharedMemoryPerBlock: return FOUND(found, 49152);
        case cudaDevAttrMaxThreadsPerMultiProcessor: return FOUND(found, 2048);
        case cudaDevAttrMaxRegistersPerBlock:
        case cudaDevAttrMaxRegistersPerMultiprocessor: return FOUND(found, 65536);
        case cudaDevAttrWarpSize: return FOUND(found, 32);
        case cudaDevAttrMaxThreadsPerBlock: return FOUND(found, 1024);
        case cudaDevAttrClockRate: return FOUND(found, 1980000);
        case cudaDevAttrMemoryClockRate: return FOUND(found, 3201000);
        case cudaDevAttrGlobalMemoryBusWidth: return FOUND(found, 6144);
        default: return FOUND(found, 1);
    }
}
int cudaDeviceGetPCIBusId(char *found, int length, int of) {
    snprintf(found, length, "0000:%02x:00.0", of + 1);
    return 0;
}
int cudaDeviceCanAccessPeer(int *found, int a, int b) { return FOUND(found, 1); }
int cudaDeviceGetDefaultMemPool(void **found, int of) { return FOUND(found, (void *)8); }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { return *greatest = -5, FOUND(least, 0); }
const char *cudaGetErrorName(int error) { return error ? "cudaErrorOfNullGpu" : "cudaSuccess"; }
const char *cudaGetErrorString(int error) { return error ? "refused by the null GPU" : "no error"; }
int cudaPeekAtLastError(void) { return last_error; }
int cudaGetLastError(void) {
    int error = last_error;
    last_error = 0;
    return error;
}

/* Streams, events and graphs */
typedef struct { int priority, capturing; unsigned long long capture; } Stream;
static Stream default_stream;
static unsigned long long captures;
static Stream *stream_at(void *stream) { return (uintptr_t)stream <= 2 ? &default_stream : stream; }
static int synchronize(const char *name, void *stream) {
    note("sync", stream, name, 0);
    return 0;
}
int cudaStreamCreateWithPriority(void **found, unsigned flags, int priority) {
    Stream *stream = calloc(1, sizeof *stream);
    stream->priority = priority;
    return FOUND(found, stream);
}
int cudaStreamCreate(void **found) { return cudaStreamCreateWithPriority(found, 0, 0); }
int cudaStreamCreateWithFlags(void **found, unsigned flags) { return cudaStreamCreateWithPriority(found, flags, 0); }
int cudaStreamGetPriority(void *stream, int *found) { return FOUND(found, stream_at(stream)->priority); }
int cudaStreamIsCapturing(void *stream, int *found) { return FOUND(found, stream_at(stream)->capturing); }
CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *found) {
    return FOUND(found, stream_at(stream)->capturing);
}
int cudaStreamGetCaptureInfo(void *stream, int *status, unsigned long long *id, void **graph, void ***nodes,
                             void **edges, size_t *count) {
    *status = stream_at(stream)->capturing;
    if (id) *id = stream_at(stream)->capture;
    if (graph) *graph = stream;
    if (nodes) *nodes = NULL;
    if (edges) *edges = NULL;
    if (count) *count = 0;
    return 0;
}
int cudaStreamBeginCapture(void *stream, int mode) {
    stream_at(stream)->capturing = 1;
    stream_at(stream)->capture = ++captures;
    note("capture", stream, "begin", 0);
    return 0;
}
int cudaStreamEndCapture(void *stream, void **graph) {
    stream_at(stream)->capturing = 0;
    note("capture", stream, "end", 0);
    return FOUND(graph, calloc(1, 8));
}
int cudaGraphGetNodes(void *graph, void **nodes, size_t *count) { return FOUND(count, 1); }
int cudaGraphNodeGetDependencies(void *node, void *found, void *edges, size_t *count) { return FOUND(count, 0); }
int cudaGraphInstantiate(void **found, void *graph, unsigned long long flags) { return FOUND(found, calloc(1, 8)); }
int cudaGraphInstantiateWithFlags(void **found, void *graph, unsigned long long flags) {
    return FOUND(found, calloc(1, 8));
}
int cudaGraphLaunch(void *graph, void *stream) {
    note("graph", stream, "launch", 0);
    return 0;
}
int cudaStreamSynchronize(void *stream) { return synchronize("stream", stream); }
int cudaDeviceSynchronize(void) { return synchronize("device", 0); }
int cudaEventSynchronize(void *event) { return synchronize("event", 0); }
int cudaEventCreate(void **found) { return FOUND(found, calloc(1, 8)); }
int cudaEventCreateWithFlags(void **found, unsigned flags) { return FOUND(found, calloc(1, 8)); }
int cudaEventElapsedTime(float *found, void *from, void *to) { return FOUND(found, 0.01f); }
int cudaStreamAddCallback(void *stream, void (*call)(void *, int, void *), void *data, unsigned flags) {
    call(stream, 0, data);
    return 0;
}

/* Kernels of torch, by the names with which they were registered */
#define NAMES (1 << 17)
static struct { const void *kernel; const char *name; } names[NAMES];
static size_t slot_of(const void *kernel) {
    size_t slot = ((uintptr_t)kernel >> 3) * 2654435761u % NAMES;
    while (names[slot].kernel && names[slot].kernel != kernel) slot = (slot + 1) % NAMES;
    return slot;
}
void __cudaRegisterFunction(void **handle, const char *kernel, char *name, const char *device_name, int limit,
                            void *a, void *b, void *c, void *d, int *e) {
    size_t slot = slot_of(kernel);
    names[slot].kernel = kernel;
    names[slot].name = device_name;
}
void **__cudaRegisterFatBinary(void *binary) {
    static void *handle[4];
    return handle;
}
char __cudaInitModule(void **handle) { return 1; }
static __thread struct { Grid grid, block; size_t shared; void *stream; } calls[16];
static __thread int call_count;
unsigned __cudaPushCallConfiguration(Grid grid, Grid block, size_t shared, void *stream) {
    calls[call_count].grid = grid;
    calls[call_count].block = block;
    calls[call_count].shared = shared;
    calls[call_count++].stream = stream;
    return 0;
}
int __cudaPopCallConfiguration(Grid *grid, Grid *block, size_t *shared, void *stream) {
    *grid = calls[--call_count].grid;
    *block = calls[call_count].block;
    *shared = calls[call_count].shared;
    *(void **)stream = calls[call_count].stream;
    return 0;
}
static int launch(const char *name, const void *stream) {
    note("launch", stream, name ? name : "?", 0);
    return 0;
}
int __cudaGetKernel(void **found, const void *kernel) { return FOUND(found, (void *)kernel); }
int __cudaLaunchKernel(void *kernel, Grid grid, Grid block, void **arguments, size_t shared, void *stream) {
    return launch(names[slot_of(kernel)].name, stream);
}
int cudaLaunchKernel(const void *kernel, Grid grid, Grid block, void **arguments, size_t shared, void *stream) {
    return launch(names[slot_of(kernel)].name, stream);
}
int cudaLaunchCooperativeKernel(const void *kernel, Grid grid, Grid block, void **arguments, size_t shared, void *s) {
    return launch(names[slot_of(kernel)].name, s);
}
int cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel, void **arguments) {
    return launch(names[slot_of(kernel)].name, config->stream);
}
int cudaMemsetAsync(void *pointer, int value, size_t bytes, void *stream) { return launch("memset", stream); }
int cudaFuncGetAttributes(struct cudaFuncAttributes *found, const void *kernel) {
    memset(found, 0, sizeof *found);
    found->binaryVersion = found->ptxVersion = 90;
    found->maxThreadsPerBlock = 1024;
    found->numRegs = 32;
    found->maxDynamicSharedSizeBytes = 49152;
    return 0;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *found, const void *kernel, int block, size_t shared) {
    return FOUND(found, 8);
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *found, const void *kernel, int block, size_t shared,
                                                           unsigned flags) {
    return FOUND(found, 8);
}

/* The driver: modules of Triton */
#include <dlfcn.h>
static CUcontext context = (CUcontext)0x77;
int null_gpu_nothing(void) { return 0; }
int cudaGetDriverEntryPointByVersion(const char *name, void **found, unsigned version, unsigned long long flags,
                                     int *status) {
    *found = dlsym(RTLD_DEFAULT, name);
    if (!*found) *found = (void *)null_gpu_nothing;
    if (status) *status = 0;
    return 0;
}
CUresult cuDriverGetVersion(int *found) { return FOUND(found, CUDA_VERSION); }
CUresult cuCtxGetCurrent(CUcontext *found) { return FOUND(found, context); }
CUresult cuCtxGetDevice(CUdevice *found) { return FOUND(found, device); }
CUresult cuDeviceGet(CUdevice *found, int of) { return FOUND(found, of); }
CUresult cuDeviceGetCount(int *found) { return cudaGetDeviceCount(found); }
CUresult cuDeviceGetAttribute(int *found, CUdevice_attribute attribute, CUdevice of) {
    return cudaDeviceGetAttribute(found, (enum cudaDeviceAttr)attribute, of); /* their numbers are the same */
}
CUresult cuDevicePrimaryCtxGetState(CUdevice of, unsigned *flags, int *active) {
    return *flags = 0, FOUND(active, 1);
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *found, CUdevice of) { return FOUND(found, context); }
CUresult cuGetErrorString(CUresult error, const char **found) { return FOUND(found, "refused by the null GPU"); }
CUresult cuModuleLoadData(CUmodule *found, const void *image) {
    note("module", 0, "", 0);
    return FOUND(found, calloc(1, 8));
}
CUresult cuModuleLoad(CUmodule *found, const char *path) { return cuModuleLoadData(found, path); }
CUresult cuModuleGetFunction(CUfunction *found, CUmodule module, const char *name) {
    char *kernel = malloc(strlen(name) + 8);
    sprintf(kernel, "triton:%s", name);
    return FOUND(found, (CUfunction)kernel);
}
CUresult cuFuncGetAttribute(int *found, CUfunction_attribute attribute, CUfunction kernel) {
    int value = attribute == CU_FUNC_ATTRIBUTE_NUM_REGS ? 32 : 0;
    return FOUND(found, attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : value);
}
CUresult cuLaunchKernel(CUfunction kernel, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f,
                        unsigned shared, CUstream stream, void **arguments, void **extra) {
    return launch((const char *)kernel, stream);
}
CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction kernel, void **arguments, void **extra) {
    return launch((const char *)kernel, config->hStream);
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *found, CUfunction kernel, int block, size_t shared) {
    return FOUND(found, 8);
}
CUresult cuOccupancyMaxActiveClusters(int *found, CUfunction kernel, const CUlaunchConfig *config) {
    return FOUND(found, 16);
}
CUresult cuPointerGetAttribute(void *found, CUpointer_attribute attribute, CUdeviceptr pointer) {
    if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_POINTER) return FOUND((CUdeviceptr *)found, pointer);
    return FOUND((int *)found, device);
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext *found) { return FOUND(found, context); }

/* cuBLAS and cuDNN: a handle holds its stream */
typedef struct { void *stream; int mode; } Handle;
#define HANDLE(library, suffix)                                                                           \
    int library##Create##suffix(void **found) { return FOUND(found, calloc(1, sizeof(Handle))); }         \
    int library##SetStream##suffix(Handle *handle, void *stream) { return FOUND(&handle->stream, stream); } \
    int library##GetStream##suffix(Handle *handle, void **found) { return FOUND(found, handle->stream); }
HANDLE(cublas, _v2)
HANDLE(cudnn, )
int cublasSetMathMode(Handle *handle, int mode) { return FOUND(&handle->mode, mode); }
int cublasGetMathMode(Handle *handle, int *found) { return FOUND(found, handle->mode); }
int cublasGetPointerMode_v2(Handle *handle, int *found) { return FOUND(found, 0); }
#define PRODUCT(name) int name(Handle *handle) { return launch(#name, handle->stream); }
PRODUCT(cublasSgemm_v2) PRODUCT(cublasDgemm_v2) PRODUCT(cublasGemmEx) PRODUCT(cublasSgemmEx) PRODUCT(cublasSgemv_v2)
PRODUCT(cublasDgemv_v2) PRODUCT(cublasGemmStridedBatchedEx) PRODUCT(cublasSgemmStridedBatched)
PRODUCT(cudnnConvolutionForward) PRODUCT(cudnnConvolutionBackwardData) PRODUCT(cudnnConvolutionBackwardFilter)
int cublasLtCreate(void **found) { return FOUND(found, calloc(1, sizeof(Handle))); }
int cublasLtMatmulAlgoGetHeuristic(void *handle, void *operation, void *a, void *b, void *c, void *d, void *preference,
                                   int asked, void *results, int *count) {
    memset(results, 0, 64);
    return FOUND(count, 1);
}
int cublasLtMatmul(void *handle, void *operation, void *alpha, void *a, void *a_layout, void *b, void *b_layout,
                   void *beta, void *c, void *c_layout, void *d, void *d_layout, void *algorithm, void *workspace,
                   size_t bytes, void *stream) {
    return launch("cublasLtMatmul", stream);
}

/* cuDNN's backend: of its descriptors only the kind of operation counts, so that a plan can be logged */
enum { PLAN = 5, FORWARD = 10, FILTER = 11, DATA = 12 }; /* cudnnBackendDescriptorType_t: see cudnn_graph.h */
typedef struct { int type, operation; } Descriptor;
static __thread int last_operation;
int cudnnBackendCreateDescriptor(int type, Descriptor **found) {
    Descriptor *made = calloc(1, sizeof *made);
    if (type >= FORWARD && type <= DATA) last_operation = type;
    made->type = type;
    made->operation = last_operation;
    return FOUND(found, made);
}
int cudnnBackendDestroyDescriptor(Descriptor *descriptor) {
    free(descriptor);
    return 0;
}
int cudnnBackendGetAttribute(Descriptor *descriptor, int attribute, int type, int64_t asked, int64_t *count,
                             void *values) {
    int is_answered = attribute == 202 || attribute == 300 || attribute == 401; /* configurations and engines */
    if (attribute == 402 || attribute == 1301) { /* bytes of workspace; engines */
        if (values) *(int64_t *)values = attribute == 402 ? 1 << 20 : 1;
        is_answered = 1;
    }
    if (count) *count = is_answered;
    return 0;
}
int cudnnBackendExecute(Handle *handle, Descriptor *plan, Descriptor *variants) {
    const char *operations[] = {"cudnn forward", "cudnn filter gradient", "cudnn data gradient"};
    return launch(operations[plan->operation - FORWARD], handle->stream);
}
typedef struct { int algorithm, status; float time; size_t bytes; int rest[5]; } Performance;
#define ALGORITHM(name)                                                                                         \
    int cudnnGet##name##Algorithm_v7(void *h, void *a, void *b, void *c, void *d, int n, int *count, Performance *found) { \
        memset(found, 0, sizeof *found);                                                                        \
        found->algorithm = 1;                                                                                   \
        return FOUND(count, 1);                                                                                 \
    }                                                                                                           \
    int cudnnGet##name##WorkspaceSize(void *h, void *a, void *b, void *c, void *d, int n, size_t *found) {      \
        return FOUND(found, 1 << 20);                                                                           \
    }
ALGORITHM(ConvolutionForward) ALGORITHM(ConvolutionBackwardData) ALGORITHM(ConvolutionBackwardFilter)

/* NCCL: nothing travels between processes */
typedef struct { int rank, size; } Communicator;
typedef struct { char bytes[128]; } Id;
int ncclGetVersion(int *found) { return FOUND(found, 22809); }
const char *ncclGetErrorString(int error) { return "refused by the null GPU"; }
const char *ncclGetLastError(void *communicator) { return ""; }
int ncclCommInitRankConfig(Communicator **found, int size, Id id, int rank, void *config) {
    *found = calloc(1, sizeof **found);
    **found = (Communicator){rank, size};
    return 0;
}
int ncclCommInitRank(Communicator **found, int size, Id id, int rank) {
    return ncclCommInitRankConfig(found, size, id, rank, NULL);
}
int ncclCommInitRankScalable(Communicator **found, int size, int rank, int ids, Id *id, void *config) {
    return ncclCommInitRankConfig(found, size, *id, rank, config);
}
int ncclCommSplit(Communicator *from, int color, int key, Communicator **found, void *config) {
    *found = NULL;
    return color < 0 ? 0 : ncclCommInitRankConfig(found, from->size, (Id){{0}}, from->rank, config);
}
int ncclCommCount(Communicator *of, int *found) { return FOUND(found, of->size); }
int ncclCommUserRank(Communicator *of, int *found) { return FOUND(found, of->rank); }
int ncclCommGetAsyncError(Communicator *of, int *found) { return FOUND(found, 0); }
#define TRAVEL(name, ...)                                         \
    int name(const void *sent, void *received, size_t count, int type, ##__VA_ARGS__, void *of, void *stream) { \
        note("nccl", stream, #name, count);                       \
        return 0;                                                 \
    }
TRAVEL(ncclAllGather)
TRAVEL(ncclAllReduce, int operation)
TRAVEL(ncclReduceScatter, int operation)
TRAVEL(ncclBroadcast, int root)
