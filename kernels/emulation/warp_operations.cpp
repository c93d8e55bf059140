#include "kernels/emulation/warp_operations.h"

#include <array>
#include <cstring>
#include <vector>

#include "kernels/common/element.h"

namespace kvcast::kernels::emulation {
namespace {

constexpr unsigned kLanes = 32;

template <class Operand>
Operand& lane(void* const* operands, unsigned i) {
  return *static_cast<Operand*>(operands[i]);
}

std::uint32_t element(const std::uint8_t* row, unsigned i) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, row + std::size_t{2} * i, sizeof bits);
  return bits;
}

/// Matrix m: its rows' addresses come from lanes 8 m to 8 m + 7; lane l gets elements 2 (l % 4) and the next
/// of row l / 4, or, transposed, of column l / 4.
void load(void* const* operands, bool transposed) {
  std::array<gpu::Words<4>, kLanes> out = {};
  for (unsigned l = 0; l < kLanes; ++l) {
    for (unsigned m = 0; m < 4; ++m) {
      std::array<std::uint32_t, 2> pair = {};
      for (unsigned i = 0; i < 2; ++i) {
        const unsigned row = transposed ? 2 * (l % 4) + i : l / 4;
        const unsigned column = transposed ? l / 4 : 2 * (l % 4) + i;
        pair[i] = element(lane<MatricesOperand>(operands, 8 * m + row).row, column);
      }
      out[l].word[m] = pair[0] | (pair[1] << 16);
    }
  }
  for (unsigned l = 0; l < kLanes; ++l) lane<MatricesOperand>(operands, l).out = out[l];
}

const std::vector<float>& half_values() {
  static const std::vector<float> values = [] {
    std::vector<float> all(1U << 16);
    for (std::uint32_t code = 0; code < all.size(); ++code)
      all[code] = half_to_float(static_cast<std::uint16_t>(code));
    return all;
  }();
  return values;
}

/// C += A B with every product and sum in double, rounded to float once.
template <class Value>
void multiply(void* const* operands, Value value) {
  std::array<std::array<float, 16>, 16> a = {};
  std::array<std::array<float, 16>, 8> b = {};  // [column][k]
  for (unsigned l = 0; l < kLanes; ++l) {
    const MmaOperand& operand = lane<MmaOperand>(operands, l);
    for (unsigned half = 0; half < 2; ++half) {
      const unsigned k = 2 * (l % 4) + half;
      for (unsigned r = 0; r < 4; ++r) {
        a[l / 4 + 8 * (r % 2)][k + 8 * (r / 2)] = value((operand.a->word[r] >> (16 * half)) & 0xffffU);
      }
      for (unsigned r = 0; r < 2; ++r) b[l / 4][k + 8 * r] = value((operand.b[r] >> (16 * half)) & 0xffffU);
    }
  }
  for (unsigned l = 0; l < kLanes; ++l) {
    for (unsigned i = 0; i < 4; ++i) {
      const auto& row = a[l / 4 + 8 * (i / 2)];
      const auto& column = b[2 * (l % 4) + i % 2];
      float& c = lane<MmaOperand>(operands, l).c[i];
      double sum = static_cast<double>(c);
      for (unsigned k = 0; k < 16; ++k) sum += static_cast<double>(row[k]) * static_cast<double>(column[k]);
      c = static_cast<float>(sum);
    }
  }
}

}  // namespace

void shuffle_lanes(void* const* operands) {
  std::array<std::uint64_t, kLanes> values = {};
  for (unsigned l = 0; l < kLanes; ++l) values[l] = lane<ShuffleOperand>(operands, l).value;
  for (unsigned l = 0; l < kLanes; ++l) {
    ShuffleOperand& operand = lane<ShuffleOperand>(operands, l);
    operand.value = values[static_cast<unsigned>(operand.lane) % kLanes];
  }
}

void any_lane(void* const* operands) {
  bool any = false;
  for (unsigned l = 0; l < kLanes; ++l) any = any || lane<bool>(operands, l);
  for (unsigned l = 0; l < kLanes; ++l) lane<bool>(operands, l) = any;
}

void load_matrices(void* const* operands) { load(operands, false); }
void load_matrices_transposed(void* const* operands) { load(operands, true); }

void mma_half(void* const* operands) {
  const std::vector<float>& values = half_values();
  multiply(operands, [&](std::uint32_t code) { return values[code]; });
}
void mma_bfloat(void* const* operands) {
  multiply(operands, [](std::uint32_t code) { return bfloat_to_float(static_cast<std::uint16_t>(code)); });
}

std::uint32_t wgmma_address(std::uint64_t descriptor, bool transposed, unsigned k, unsigned column) {
  const auto field = [&](unsigned shift) {
    return static_cast<std::uint32_t>(((descriptor >> shift) & 0x3fffU) << 4);
  };
  const std::uint32_t panel = field(16);
  const std::uint32_t group = field(32);
  std::uint32_t address = field(0);
  if (transposed) {
    address += column / 64 * panel + column % 64 * 2 + k / 8 * group + k % 8 * 128;
  } else {
    address += column / 8 * group + column % 8 * 128 + k * 2;
  }
  return address ^ ((address >> 7 & 7U) << 4);
}

void multiply_group(const WgmmaOperand* const* operands, SharedElement element) {
  const WgmmaOperand& first = *operands[0];
  const auto columns = static_cast<unsigned>(first.blocks) * 8;
  const auto value = [&](std::uint32_t code) {
    return first.bfloat ? bfloat_to_float(static_cast<std::uint16_t>(code)) : half_values()[code];
  };
  std::vector<std::array<float, 16>> b(columns);
  for (unsigned column = 0; column < columns; ++column) {
    for (unsigned k = 0; k < 16; ++k) {
      b[column][k] = value(element(wgmma_address(first.descriptor, first.transposed, k, column)));
    }
  }
  std::vector<std::array<float, 16>> a(64);
  for (unsigned t = 0; t < 128; ++t) {
    for (unsigned r = 0; r < 4; ++r) {
      for (unsigned half = 0; half < 2; ++half) {
        const unsigned row = t / kLanes * 16 + t % kLanes / 4 + 8 * (r % 2);
        a[row][2 * (t % 4) + half + 8 * (r / 2)] = value((operands[t]->a.word[r] >> (16 * half)) & 0xffffU);
      }
    }
  }
  for (unsigned t = 0; t < 128; ++t) {
    for (unsigned block = 0; block < columns / 8; ++block) {
      for (unsigned i = 0; i < 4; ++i) {
        const auto& row = a[t / kLanes * 16 + t % kLanes / 4 + 8 * (i / 2)];
        const auto& column = b[block * 8 + 2 * (t % 4) + i % 2];
        float& c = operands[t]->c[block * 4 + i];
        double sum = first.add ? static_cast<double>(c) : 0.0;
        for (unsigned k = 0; k < 16; ++k) sum += static_cast<double>(row[k]) * static_cast<double>(column[k]);
        c = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace kvcast::kernels::emulation
