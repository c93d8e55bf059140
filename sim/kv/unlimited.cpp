// The pool of an engine that keeps no KV: nothing is held, so everything fits.
#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

class Unlimited final : public BlockAllocator {
 public:
  [[nodiscard]] Tokens block_size() const override { return Tokens{1}; }
  [[nodiscard]] Blocks total() const override { return Blocks{0}; }
  [[nodiscard]] Blocks free() const override { return Blocks{0}; }
  [[nodiscard]] Blocks needed(const BlockTable& /*table*/, Tokens /*tokens*/) const override {
    return Blocks{0};
  }
  [[nodiscard]] bool grow(BlockTable& /*table*/, const Growth& /*growth*/) override { return true; }
  void release(BlockTable& /*table*/) override {}
  [[nodiscard]] Growing growing() const override { return Growing::never; }
};

}  // namespace

std::unique_ptr<BlockAllocator> make_unlimited() { return std::make_unique<Unlimited>(); }

}  // namespace kvcast
