#include "kernels/attention/cuda_kernels.h"
#include "kernels/attention/launch.h"
#include "kernels/attention/merge.h"

namespace kvcast::kernels {
namespace {

__global__ void __launch_bounds__(kMergeThreads)
    merge_kernel(const __grid_constant__ AttentionArgs args, const __grid_constant__ PlanArrays plan,
                 int rows_per_tile) {
  merge_pieces(args, plan, rows_per_tile);
}

AttentionKernel kernel_of(const Variant& variant) {
  const int head = variant.head_size;
  switch (variant.type) {
    case KvType::bf16:
      return attention_kernel_of<KvType::bf16>(head, variant.form);
    case KvType::fp16:
      return attention_kernel_of<KvType::fp16>(head, variant.form);
    case KvType::fp8_e4m3:
      return attention_kernel_of<KvType::fp8_e4m3>(head, variant.form);
    case KvType::fp8_e5m2:
      return attention_kernel_of<KvType::fp8_e5m2>(head, variant.form);
    case KvType::int8:
      return attention_kernel_of<KvType::int8>(head, variant.form);
    case KvType::int4:
      return attention_kernel_of<KvType::int4>(head, variant.form);
    case KvType::nf4:
      return attention_kernel_of<KvType::nf4>(head, variant.form);
  }
  return nullptr;
}

/// The kernel as the runtime takes it: what is asked of it does not depend on its arguments.
const void* address_of(const Variant& variant) {
  if (variant.form == Form::prefill_hopper) return reinterpret_cast<const void*>(hopper_kernel_of(variant));
  return reinterpret_cast<const void*>(kernel_of(variant));
}

cudaError_t allow_shared_memory(const Variant& variant) {
  const void* kernel = address_of(variant);
  if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, variant.shared_bytes);
}

/// A map of the cache's keys or values for copies of boxes: {channel, head, token in page, page}. The encoder
/// is asked of the driver at run time, so that the program also starts where there is none.
cudaError_t make_map(const AttentionArgs& args, const std::uint8_t* base, gpu::TensorMap* map) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  const cudaError_t status =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
  if (status != cudaSuccess) return status;
  if (result != cudaDriverEntryPointSuccess) return cudaErrorNotSupported;
  const auto encode = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
  const PagedKv& cache = args.cache;
  const auto count = [](int n) { return static_cast<cuuint64_t>(n); };
  const auto box_of = [](int n) { return static_cast<cuuint32_t>(n); };
  const auto stride = [](std::int64_t bytes) { return static_cast<cuuint64_t>(bytes); };
  // Page numbers come from the block table, which is right or nothing is: the map need not know how many
  // there are.
  constexpr int kPagesMax = 0x7fffffff;
  const cuuint64_t dimensions[4] = {count(args.head_size), count(args.kv_heads), count(cache.page_size),
                                    count(kPagesMax)};
  const cuuint64_t strides[3] = {stride(cache.head_stride), stride(cache.token_stride),
                                 stride(cache.page_stride)};
  const int rows = cache.page_size < kKeysPerTile ? cache.page_size : kKeysPerTile;
  const cuuint32_t box[4] = {64, 1, box_of(rows), 1};
  const cuuint32_t every[4] = {1, 1, 1, 1};
  const CUtensorMapDataType type =
      cache.type == KvType::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  const CUresult encoded = encode(map, type, 4, const_cast<std::uint8_t*>(base), dimensions, strides, box,
                                  every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                  CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return encoded == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t launch_main(const Variant& variant, const AttentionArgs& args, const PlanArrays& plan,
                        cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(plan.ctas));
  const dim3 threads(static_cast<unsigned>(variant.threads));
  const auto shared = static_cast<std::size_t>(variant.shared_bytes);
  if (variant.form != Form::prefill_hopper) {
    kernel_of(variant)<<<blocks, threads, shared, stream>>>(args, plan);
    return cudaGetLastError();
  }
  gpu::TensorMap keys;
  gpu::TensorMap values;
  cudaError_t status = make_map(args, args.cache.k, &keys);
  if (status == cudaSuccess) status = make_map(args, args.cache.v, &values);
  if (status != cudaSuccess) return status;
  hopper_kernel_of(variant)<<<blocks, threads, shared, stream>>>(args, plan, keys, values);
  return cudaGetLastError();
}

}  // namespace

cudaError_t resident_ctas(const Variant& variant, int* ctas) {
  cudaError_t status = allow_shared_memory(variant);
  int device = 0;
  int processors = 0;
  int on_each = 0;
  if (status == cudaSuccess) status = cudaGetDevice(&device);
  if (status == cudaSuccess)
    status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (status == cudaSuccess) {
    status = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&on_each, address_of(variant), variant.threads,
                                                           static_cast<std::size_t>(variant.shared_bytes));
  }
  *ctas = processors * on_each;
  return status;
}

cudaError_t current_device(Device* device) {
  int current = 0;
  int major = 0;
  int minor = 0;
  cudaError_t status = cudaGetDevice(&current);
  if (status == cudaSuccess)
    status = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, current);
  if (status == cudaSuccess)
    status = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, current);
  device->compute_capability = major * 10 + minor;
  if (status != cudaSuccess) return status;
  return cudaDeviceGetAttribute(&device->shared_bytes_max, cudaDevAttrMaxSharedMemoryPerBlockOptin, current);
}

cudaError_t launch_attention(const Variant& variant, const AttentionArgs& args, const PlanArrays& plan,
                             cudaStream_t stream) {
  cudaError_t status = allow_shared_memory(variant);
  if (status == cudaSuccess) status = launch_main(variant, args, plan, stream);
  if (status != cudaSuccess || plan.merge_count == 0) return status;
  const dim3 blocks(static_cast<unsigned>(plan.merge_count));
  merge_kernel<<<blocks, dim3(kMergeThreads), 0, stream>>>(args, plan, variant.rows_per_tile);
  return cudaGetLastError();
}

}  // namespace kvcast::kernels
