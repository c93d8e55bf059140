#include <boost/test/unit_test.hpp>

#include "sim/sglang/machine_defaults.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(sglang_machine_defaults)

BOOST_AUTO_TEST_CASE(an_h100_alone_and_eight_of_them) {
  SglangMachine h100{.gpu_memory_mib = 81'559};
  BOOST_TEST(sglang_chunked_prefill_size(h100) == 8192);
  BOOST_TEST(sglang_decode_graph_batch_max(h100) == 256);
  BOOST_TEST(sglang_reserved_mib(h100, 8192) == 13'904);
  BOOST_TEST(sglang_mem_fraction_static(h100, 8192) == 0.830);
  h100.tensor_parallel_size = 8;
  BOOST_TEST(sglang_decode_graph_batch_max(h100) == 512);
  BOOST_TEST(sglang_reserved_mib(h100, 8192) == 15'312);
  BOOST_TEST(sglang_mem_fraction_static(h100, 8192) == 0.812);
}

BOOST_AUTO_TEST_CASE(classes_of_memory) {
  struct Row {
    std::int64_t mib, chunk, few, many;
  };
  for (const Row& row : {Row{20'479, 2048, 8, 8}, Row{20'480, 4096, 48, 160}, Row{35'840, 4096, 32, 160}, Row{61'440, 8192, 256, 512},
                         Row{163'839, 8192, 256, 512}, Row{163'840, 16'384, 512, 512}}) {
    BOOST_TEST(sglang_chunked_prefill_size({.gpu_memory_mib = row.mib}) == row.chunk);
    BOOST_TEST(sglang_decode_graph_batch_max({.gpu_memory_mib = row.mib}) == row.few);
    BOOST_TEST(sglang_decode_graph_batch_max({.gpu_memory_mib = row.mib, .tensor_parallel_size = 4}) == row.many);
  }
}

BOOST_AUTO_TEST_CASE(large_gpus_keep_ten_gib) {
  BOOST_TEST(sglang_reserved_mib({.gpu_memory_mib = 81'559, .prefill_graphs = false}, 2048) == 10'240);
  BOOST_TEST(sglang_reserved_mib({.gpu_memory_mib = 81'559, .prefill_graphs = false, .deepep = true}, 2048) == 12'288);
  BOOST_TEST(sglang_reserved_mib({.gpu_memory_mib = 24'000, .prefill_graphs = false}, 512) == 512 + 3072 + 128 + 96);
}

BOOST_AUTO_TEST_CASE(running_requests) {
  BOOST_TEST(sglang_max_running_requests(400'000, 131'072) == 2048);
  BOOST_TEST(sglang_max_running_requests(400'000, 40'960) == 4096);
  BOOST_TEST(sglang_max_running_requests(240'000, 40'960) == 3000);
  BOOST_TEST(sglang_max_running_requests(3000, 131'072) == 1500);
  BOOST_TEST(sglang_max_running_requests(400'000, 131'072, 64) == 64);
  BOOST_TEST(sglang_max_running_requests(100, 131'072, 64) == 50);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
