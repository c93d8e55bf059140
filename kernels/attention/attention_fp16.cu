#include "kernels/attention/cuda_kernels.h"

namespace kvcast::kernels {

KVCAST_DEFINE_KERNELS_WITH_LATENT(fp16)

}  // namespace kvcast::kernels
