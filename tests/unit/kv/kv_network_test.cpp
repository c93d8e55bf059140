#include "sim/kv/kv_network.h"

#include <boost/test/unit_test.hpp>
#include <limits>
#include <map>

#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr FineTime kSecond = FineTime{1'000'000'000} << kFineBits;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Sent {
  FineTime at = 0;
  std::size_t from = 0, to = 0;
  std::int64_t bytes = 0;
};

/// When each transfer of one part arrives.
std::vector<FineTime> arrivals(KvNetwork& network, const std::vector<Sent>& all) {
  std::map<KvNetwork::Transfer, std::size_t> index;
  std::vector<FineTime> ends(all.size(), kFineNever);
  const auto take = [&](FineTime until) {
    for (const KvNetwork::Arrival& a : network.advance(until)) ends[index.at(a.transfer)] = a.at;
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    take(all[i].at);
    const KvNetwork::Transfer transfer = network.open(all[i].at, all[i].from, all[i].to);
    index[transfer] = i;
    network.add(all[i].at, transfer, all[i].at, all[i].bytes);
    network.close(all[i].at, transfer);
  }
  while (network.next() < kFineNever) take(network.next());
  return ends;
}

bool near(FineTime a, FineTime b, FineTime slack) { return a - b <= slack && b - a <= slack; }

BOOST_AUTO_TEST_SUITE(kv_network)

BOOST_AUTO_TEST_CASE(one_transfer_takes_bytes_over_rate_and_latency) {
  KvNetwork network({{1e9, 1e9}, {4e9, 5e8}}, kSecond / 10);
  const std::vector<FineTime> ends = arrivals(network, {{kSecond, 0, 1, 1'000'000'000}});
  BOOST_TEST((ends[0] == kSecond + 2 * kSecond + kSecond / 10));  // the way in is the slower one
}

BOOST_AUTO_TEST_CASE(no_time_at_all_is_later_all_the_same) {
  KvNetwork network({{kInfinity, kInfinity}, {kInfinity, kInfinity}}, 0);
  const std::vector<FineTime> ends = arrivals(network, {{kSecond, 0, 1, 1'000'000}});
  BOOST_TEST((ends[0] == kSecond + 1));
}

/// Bertsekas and Gallager's example in small: two from one replica, one of them to where a third goes too.
BOOST_AUTO_TEST_CASE(rates_are_max_min_fair) {
  // Out of 0: 1 GB/s, out of 1: 10 GB/s, into 2: 2 GB/s, into 3: 10 GB/s.
  KvNetwork network({{1e9, kInfinity}, {1e10, kInfinity}, {kInfinity, 2e9}, {kInfinity, 1e10}}, 0);
  const std::vector<FineTime> ends =
      arrivals(network, {{0, 0, 2, 500'000'000}, {0, 0, 3, 500'000'000}, {0, 1, 2, 1'500'000'000}});
  // Half a GB/s each out of 0; what that leaves of the way into 2 is the third one's.
  BOOST_TEST(near(ends[0], kSecond, 4));
  BOOST_TEST(near(ends[1], kSecond, 4));
  BOOST_TEST(near(ends[2], kSecond, 4));
}

/// Between two replicas it is a fair link.
BOOST_AUTO_TEST_CASE(one_pair_shares_as_a_fair_link) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    RandomStream random(seed, "kv network");
    std::vector<Sent> all;
    FineTime at = 0;
    for (int i = 0; i < 40; ++i) {
      at += FineTime{random.integer(0, 3'000'000)} << kFineBits;
      all.push_back({at, 0, 1, random.integer(0, 4'000'000)});
    }
    const FineTime latency = random.integer(0, 1 << 30);
    KvNetwork network({{1e9, kInfinity}, {kInfinity, 2e9}}, latency);
    Link link({.bytes_per_s = 1e9, .latency = latency, .sharing = LinkSharing::fair, .outages = {}});
    const std::vector<FineTime> ends = arrivals(network, all);
    std::map<Link::Flow, std::size_t> index;
    std::vector<FineTime> expected(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (const Link::Arrival& a : link.advance(all[i].at)) expected[index.at(a.flow)] = a.at;
      index[link.start(all[i].at, all[i].bytes)] = i;
    }
    for (const Link::Arrival& a : link.advance(at + 1000 * kSecond)) expected[index.at(a.flow)] = a.at;
    for (std::size_t i = 0; i < all.size(); ++i)
      BOOST_REQUIRE(near(ends[i], expected[i], 1 << 10));  // a picosecond
  }
}

/// Parts leave in turn, none before it is ready.
BOOST_AUTO_TEST_CASE(parts_wait_to_be_ready_and_for_each_other) {
  KvNetwork network({{1e9, kInfinity}, {kInfinity, kInfinity}}, 0);
  const KvNetwork::Transfer transfer = network.open(0, 0, 1);
  network.add(0, transfer, kSecond, 500'000'000);      // leaves from 1 to 1.5
  network.add(0, transfer, kSecond, 1'000'000'000);    // 1.5 to 2.5
  network.add(0, transfer, 4 * kSecond, 250'000'000);  // 4 to 4.25
  network.close(0, transfer);
  BOOST_TEST(network.advance(4 * kSecond).empty());
  BOOST_TEST(network.under_way() == 1U);
  const auto& arrived = network.advance(5 * kSecond);
  BOOST_REQUIRE_EQUAL(arrived.size(), 1U);
  BOOST_TEST((arrived.front().at == 4 * kSecond + kSecond / 4));
  BOOST_TEST(network.under_way() == 0U);
  BOOST_TEST((network.next() == kFineNever));
}

/// Random transfers among random replicas: each arrives, none sooner than alone, and no replica sends faster
/// than it can.
BOOST_AUTO_TEST_CASE(nothing_is_lost_and_nobody_beats_its_rate) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    RandomStream random(seed, "kv networks");
    std::vector<PortRates> ports;
    for (int i = 0; i < 5; ++i)
      ports.push_back({1e9 * (1 + 9 * random.uniform()), 1e9 * (1 + 9 * random.uniform())});
    std::vector<Sent> all;
    FineTime at = 0;
    std::vector<std::int64_t> out(5);
    for (int i = 0; i < 60; ++i) {
      at += FineTime{random.integer(0, 1'000'000)} << kFineBits;
      const auto from = static_cast<std::size_t>(random.integer(0, 4)),
                 to = static_cast<std::size_t>(random.integer(0, 4));
      all.push_back({at, from, to, random.integer(1, 4'000'000)});
      out[from] += all.back().bytes;
    }
    KvNetwork network(ports, 0);
    const std::vector<FineTime> ends = arrivals(network, all);
    std::vector<FineTime> last(5);
    for (std::size_t i = 0; i < all.size(); ++i) {
      BOOST_REQUIRE(ends[i] < kFineNever);
      const double rate = std::min(ports[all[i].from].out_bytes_per_s, ports[all[i].to].in_bytes_per_s);
      const double alone = static_cast<double>(all[i].bytes) / rate * static_cast<double>(kSecond);
      BOOST_REQUIRE(static_cast<double>(ends[i] - all[i].at) >= alone - 2);
      last[all[i].from] = std::max(last[all[i].from], ends[i]);
    }
    for (std::size_t p = 0; p < 5; ++p) {
      const double busy =
          static_cast<double>(out[p]) / ports[p].out_bytes_per_s * static_cast<double>(kSecond);
      BOOST_REQUIRE(static_cast<double>(last[p]) >= busy - 100);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
