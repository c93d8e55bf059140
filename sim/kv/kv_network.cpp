#include "sim/kv/kv_network.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kUnitsPerSecond = 1e9 * static_cast<double>(std::int64_t{1} << kFineBits);

/// Units of 2^-20 ns that so many bytes take.
FineTime time_of(double bytes, double rate) {
  if (bytes <= 0 || std::isinf(rate)) return 0;
  const double units = bytes * (kUnitsPerSecond / rate);
  constexpr double kUnitsMax = 9e18;
  return units > kUnitsMax ? kFineNever : FineTime{std::llround(units)};
}

}  // namespace

KvNetwork::KvNetwork(std::vector<PortRates> ports, FineTime latency)
    : ports_(std::move(ports)), latency_(latency), free_(2 * ports_.size()), open_(2 * ports_.size()) {
  KVCAST_CHECK(latency >= 0);
}

KvNetwork::State& KvNetwork::state(Transfer transfer) {
  const auto at = std::lower_bound(transfers_.begin(), transfers_.end(), transfer,
                                   [](const State& s, Transfer t) { return s.transfer < t; });
  KVCAST_CHECK(at != transfers_.end() && at->transfer == transfer);
  return *at;
}

KvNetwork::Transfer KvNetwork::open(FineTime now, std::size_t from, std::size_t to) {
  KVCAST_CHECK(from < ports_.size() && to < ports_.size());
  KVCAST_CHECK(ports_[from].out_bytes_per_s > 0 && ports_[to].in_bytes_per_s > 0);
  State& opened = transfers_.emplace_back();
  opened.transfer = next_transfer_;
  opened.from = from;
  opened.to = to;
  opened.begun = now;
  return next_transfer_++;
}

void KvNetwork::add(FineTime now, Transfer transfer, FineTime ready, std::int64_t bytes) {
  KVCAST_CHECK(ready >= now && bytes >= 0 && now <= next_);
  State& sender = state(transfer);
  KVCAST_CHECK(!sender.closed);
  sender.parts.push_back({ready, bytes});
  if (begin_parts(now)) share(now);
  find_next();
}

void KvNetwork::close(FineTime now, Transfer transfer) {
  state(transfer).closed = true;
  land(now);
  find_next();
}

const std::vector<KvNetwork::Arrival>& KvNetwork::advance(FineTime now) {
  arrived_.clear();
  while (next_ <= now) {
    step_to(next_);
    find_next();
  }
  return arrived_;
}

void KvNetwork::step_to(FineTime at) {
  const bool left = finish_parts(at);
  const bool began = begin_parts(at);
  if (left || began) share(at);
  land(at);
  while (!in_the_air_.empty() && in_the_air_.front().at <= at) {
    arrived_.push_back(in_the_air_.front());
    in_the_air_.erase(in_the_air_.begin());
  }
}

bool KvNetwork::finish_parts(FineTime at) {
  bool any = false;
  for (State& sender : transfers_) {
    if (!sender.sending || sender.end > at) continue;
    sender.parts.pop_front();
    sender.sending = false;
    sender.end = kFineNever;
    any = true;
  }
  return any;
}

bool KvNetwork::begin_parts(FineTime at) {
  bool any = false;
  for (State& sender : transfers_) {
    if (sender.sending || sender.parts.empty() || sender.parts.front().ready > at) continue;
    sender.sending = true;
    sender.left = static_cast<double>(sender.parts.front().bytes);
    sender.since = at;
    sender.rate = 0;
    any = true;
  }
  return any;
}

/// Those that have sent everything are in the air.
void KvNetwork::land(FineTime at) {
  std::erase_if(transfers_, [&](const State& sender) {
    if (!sender.closed || !sender.parts.empty()) return false;
    const Arrival arrival{std::max(at + latency_, sender.begun + 1), sender.transfer};
    const auto behind = std::upper_bound(in_the_air_.begin(), in_the_air_.end(), arrival,
                                         [](const Arrival& a, const Arrival& b) {
                                           return a.at != b.at ? a.at < b.at : a.transfer < b.transfer;
                                         });
    in_the_air_.insert(behind, arrival);
    return true;
  });
}

void KvNetwork::set_rate(State& sender, double rate, FineTime at) {
  if (rate == sender.rate) return;
  const double seconds = static_cast<double>(at - sender.since) / kUnitsPerSecond;
  if (sender.rate > 0) sender.left = std::max(0.0, sender.left - sender.rate * seconds);
  sender.since = at;
  sender.rate = rate;
  sender.end = std::min(kFineNever, at + time_of(sender.left, rate));
}

/// Progressive filling: again and again the port that leaves its transfers least.
void KvNetwork::share(FineTime at) {
  const std::size_t ports = ports_.size();
  std::vector<std::size_t> used;
  std::vector<State*> senders;
  const auto count = [&](std::size_t port, double rate) {
    if (open_[port]++ > 0) return;
    free_[port] = rate;
    used.push_back(port);
  };
  for (State& sender : transfers_) {
    if (!sender.sending) continue;
    senders.push_back(&sender);
    count(sender.from, ports_[sender.from].out_bytes_per_s);
    count(ports + sender.to, ports_[sender.to].in_bytes_per_s);
  }
  std::sort(used.begin(), used.end());
  while (!senders.empty()) {
    std::size_t tightest = used.front();
    double least = std::numeric_limits<double>::infinity();
    for (const std::size_t port : used) {
      if (open_[port] == 0) continue;
      const double each = free_[port] / static_cast<double>(open_[port]);
      if (each < least || open_[tightest] == 0) {
        least = each;
        tightest = port;
      }
    }
    std::erase_if(senders, [&](State* sender) {
      const std::size_t in = ports + sender->to;
      if (!std::isinf(least) && sender->from != tightest && in != tightest) return false;
      set_rate(*sender, least, at);
      for (const std::size_t port : {sender->from, in}) {
        --open_[port];
        if (!std::isinf(free_[port])) free_[port] = std::max(0.0, free_[port] - least);
      }
      return true;
    });
  }
}

void KvNetwork::find_next() {
  next_ = in_the_air_.empty() ? kFineNever : in_the_air_.front().at;
  for (const State& sender : transfers_) {
    if (sender.sending) {
      next_ = std::min(next_, sender.end);
    } else if (!sender.parts.empty()) {
      next_ = std::min(next_, sender.parts.front().ready);
    }
  }
}

}  // namespace kvcast
