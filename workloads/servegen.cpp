/// ServeGen (github.com/alibaba/ServeGen): statistics of the clients of a model service, from which requests
/// are drawn. For each client chunk-N-trace.csv has windows (start in s, requests/s, cv, Gamma or Weibull,
/// shape, scale) and chunk-N-dataset.json the distributions of input and output tokens by window. Both lie in
/// a tar archive or a folder.
#include "workloads/servegen.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "sim/base/portable_math.h"
#include "sim/base/rng.h"
#include "workloads/gamma_draw.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

constexpr double kNsPerSecond = 1e9;

/// Requests of one client: windows one after the other, gaps of each drawn from its own stream.
class ClientCursor {
 public:
  ClientCursor(const ServegenClient& client, std::uint64_t seed, bool comonotone)
      : client_(&client),
        seed_(seed),
        comonotone_(comonotone),
        gaps_(seed, "servegen/" + client.name),
        lengths_(seed, "servegen/lengths/" + client.name) {
    advance();
  }

  [[nodiscard]] bool ended() const { return window_ == client_->windows.size(); }
  [[nodiscard]] Instant arrival() const { return arrival_; }

  void fill(Request& request) {
    const ServegenLengths& lengths = client_->lengths[client_->windows[window_].lengths];
    const double u = lengths_.uniform();
    request.arrival = arrival_;
    request.input = Tokens{lengths.input.at(u)};
    request.output = Tokens{lengths.output.at(comonotone_ ? u : lengths_.uniform())};
    advance();
  }

 private:
  void advance() {
    while (left_ == 0) {
      if (opened_ == client_->windows.size()) {
        window_ = opened_;
        return;
      }
      open_window();
    }
    --left_;
    at_ns_ += gap() * scale_;
    const auto offset = static_cast<std::int64_t>(std::min(at_ns_, window().length_s * kNsPerSecond));
    arrival_ = Instant{Duration{window().start_ns + offset}};
  }

  [[nodiscard]] const ServegenWindow& window() const { return client_->windows[window_]; }

  /// n requests and the window's end cut it into n + 1 gaps, scaled to fill it exactly: the client sends as
  /// many requests as its rate says, as bursty as its pattern says. (Upstream's generator scales n gaps and
  /// so loses one request a window.)
  void open_window() {
    window_ = opened_++;
    const double wanted = window().rate * window().length_s;
    RandomStream stream(seed_, "servegen/" + client_->name + "/" + std::to_string(window_));
    const double whole = std::floor(wanted + 0.5);
    const bool is_whole = std::fabs(wanted - whole) < 1e-6;
    left_ = static_cast<std::int64_t>(is_whole ? whole : std::floor(wanted + stream.uniform()));
    if (left_ == 0) return;
    gaps_ = stream;
    gamma_ = GammaDraw(window().shape);
    double sum = 0;
    for (std::int64_t i = 0; i <= left_; ++i) sum += gap();
    gaps_ = stream;  // the same gaps again, now one by one
    scale_ = sum > 0 ? window().length_s * kNsPerSecond / sum : 0;
    at_ns_ = 0;
  }

  double gap() {
    if (window().pattern == ServegenWindow::Pattern::gamma) return gamma_(gaps_);
    const double exponential = gaps_.exponential(1);
    return exponential > 0 ? portable_exp(portable_log(exponential) / window().shape) : 0;
  }

  const ServegenClient* client_;
  std::uint64_t seed_;
  bool comonotone_;
  RandomStream gaps_;  // of the current window
  GammaDraw gamma_{1};
  RandomStream lengths_;
  std::size_t opened_ = 0;  // windows opened so far
  std::size_t window_ = 0;  // the current one
  std::int64_t left_ = 0;
  double at_ns_ = 0;  // since the window's start
  double scale_ = 0;
  Instant arrival_;
};

class Servegen final : public OpenLoopSource {
 public:
  Servegen(std::shared_ptr<const std::vector<ServegenClient>> clients, std::uint64_t seed, bool comonotone)
      : clients_(std::move(clients)) {
    for (const ServegenClient& client : *clients_) cursors_.emplace_back(client, seed, comonotone);
    for (std::size_t i = 0; i < cursors_.size(); ++i) {
      if (!cursors_[i].ended()) next_.push({cursors_[i].arrival(), i});
    }
  }

 private:
  bool read(Request& request) override {
    if (next_.empty()) return false;
    const std::size_t i = next_.top().second;
    next_.pop();
    cursors_[i].fill(request);
    if (!cursors_[i].ended()) next_.push({cursors_[i].arrival(), i});
    return true;
  }

  using Next = std::pair<Instant, std::size_t>;
  std::shared_ptr<const std::vector<ServegenClient>> clients_;
  std::vector<ClientCursor> cursors_;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> next_;
};

WorkloadFactory make(TraceInput& input) {
  const bool comonotone =
      input.options.get_choice("coupling", {"comonotone", "independent"}, "comonotone") == "comonotone";
  const std::string lengths = input.options.get_string("lengths", "");
  auto clients = std::make_shared<const std::vector<ServegenClient>>(
      read_servegen(input.files, lengths, input.open_beside));
  input.assumptions.push_back(
      comonotone ? "a client's input and output lengths are drawn from one random number, as ServeGen's own "
                   "generator does (coupling: independent draws two)"
                 : "a client's input and output lengths are drawn independently of each other");
  return [clients, seed = input.seed, comonotone] {
    return std::make_unique<Servegen>(clients, seed, comonotone);
  };
}

}  // namespace

TraceFormat servegen_format() {
  return {is_servegen, make, true, "ServeGen (github.com/alibaba/ServeGen), Apache-2.0"};
}

}  // namespace kvcast
