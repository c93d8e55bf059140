// What copy on write saves against full copies, on ShareGPT's lengths, beside the paged-attention paper (Kwon
// et al. 2023, sec. 6.3).
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "sim/kv/forks.h"
#include "sim/sched/beam_model.h"
#include "tests/oracles/memory_csv.h"
#include "tests/support/data.h"

namespace kvcast {
namespace {

struct Lengths {
  std::int64_t prompt, answer;
};

std::vector<Lengths> share_gpt() {
  const auto path = test::data_folder("traces/sharegpt_lengths/sharegpt_val_10k_llama2.csv");
  std::vector<Lengths> lengths;
  if (!path) return lengths;
  for (const test::CsvRow& row : test::csv_rows(*path)) {
    constexpr std::size_t kRequests = 1500;
    constexpr std::int64_t kModelLen = 2048;
    const Lengths next{std::stoll(row.at("num_prefill_tokens")), std::stoll(row.at("num_decode_tokens"))};
    if (next.prompt >= 1 && next.answer >= 2 && next.prompt + next.answer <= kModelLen)
      lengths.push_back(next);
    if (lengths.size() == kRequests) break;
  }
  return lengths;
}

/// 1 - blocks in use / blocks of full copies, both summed over all steps.
double saving(const std::vector<Lengths>& requests, std::int64_t branches, bool searches) {
  std::int64_t used = 0;
  std::int64_t apart = 0;
  std::uint64_t id = 0;
  for (const Lengths& request : requests) {
    BranchTables tables(16, request.prompt, branches);
    BeamModel beams(1, static_cast<RequestId>(id++), branches, 1);
    for (std::int64_t token = 1; token < request.answer; ++token) {
      tables.write();
      used += tables.blocks();
      apart += tables.blocks_apart();
      if (searches) tables.reorder(beams.next());
    }
  }
  return 1 - static_cast<double>(used) / static_cast<double>(apart);
}

BOOST_AUTO_TEST_SUITE(copy_on_write)

BOOST_AUTO_TEST_CASE(saving_on_sharegpt) {
  const std::vector<Lengths> requests = share_gpt();
  if (requests.empty()) return;
  double prompt = 0;
  double answer = 0;
  for (const Lengths& request : requests) {
    prompt += static_cast<double>(request.prompt) / static_cast<double>(requests.size());
    answer += static_cast<double>(request.answer) / static_cast<double>(requests.size());
  }
  std::printf(
      "%zu requests, prompts of %.0f and answers of %.0f tokens on average (the paper's: 161 and 338)\n",
      requests.size(), prompt, answer);
  double last_samples = 0;
  double last_beams = 0;
  for (const std::int64_t k : {2, 4, 6}) {
    const double samples = saving(requests, k, false);
    const double beams = saving(requests, k, true);
    std::printf("  %lld samples: %.1f %% saved; %lld beams: %.1f %%, at most %.1f %%\n",
                static_cast<long long>(k), 100 * samples, static_cast<long long>(k), 100 * beams,
                100 - 100.0 / static_cast<double>(k));
    BOOST_TEST(samples > last_samples);
    BOOST_TEST(beams > last_beams);
    BOOST_TEST(beams > samples);
    BOOST_TEST(beams < 1 - 1.0 / static_cast<double>(k));
    last_samples = samples;
    last_beams = beams;
  }
  std::printf("  the paper, 2 to 6: samples 16.2 to 30.5 %%, beams 44.3 to 66.3 %%\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
