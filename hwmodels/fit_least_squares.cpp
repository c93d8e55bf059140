#include "hwmodels/fit_least_squares.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr int kIterationsMax = 80;
constexpr double kStep = 1e-5;        // of a logarithm, for derivatives
constexpr double kConverged = 1e-10;  // relative fall of the cost

class Problem {
 public:
  Problem(std::span<const FitParameter> parameters,
          const std::function<double(const std::vector<double>&, std::size_t)>& model,
          const std::vector<double>& measured, double scale)
      : parameters_(parameters), model_(model), measured_(measured), scale_(scale) {}

  [[nodiscard]] Eigen::VectorXd start() const {
    Eigen::VectorXd logs(size());
    for (Eigen::Index i = 0; i < size(); ++i) logs[i] = std::log(at(i).start);
    return clamped(std::move(logs));
  }

  [[nodiscard]] Eigen::VectorXd clamped(Eigen::VectorXd logs) const {
    for (Eigen::Index i = 0; i < size(); ++i)
      logs[i] = std::clamp(logs[i], std::log(at(i).min), std::log(at(i).max));
    return logs;
  }

  [[nodiscard]] Eigen::VectorXd residuals(const Eigen::VectorXd& logs) const {
    const std::vector<double> values = to_values(logs);
    Eigen::VectorXd result(static_cast<Eigen::Index>(measured_.size()));
    for (std::size_t row = 0; row < measured_.size(); ++row)
      result[static_cast<Eigen::Index>(row)] = std::log(measured_[row] / model_(values, row));
    return result;
  }

  [[nodiscard]] Eigen::MatrixXd jacobian(const Eigen::VectorXd& logs, const Eigen::VectorXd& base) const {
    Eigen::MatrixXd result(base.size(), size());
    for (Eigen::Index i = 0; i < size(); ++i) {
      Eigen::VectorXd moved = logs;
      const double step = moved[i] + kStep <= std::log(at(i).max) ? kStep : -kStep;
      moved[i] += step;
      result.col(i) = (residuals(moved) - base) / step;
    }
    return result;
  }

  [[nodiscard]] double cost(const Eigen::VectorXd& residuals) const {
    double sum = 0;
    for (const double r : residuals) sum += std::sqrt(1 + r * r / (scale_ * scale_)) - 1;
    return sum;
  }

  /// Weights that make the squared residuals' gradient that of the loss.
  [[nodiscard]] Eigen::VectorXd weights(const Eigen::VectorXd& residuals) const {
    return residuals.unaryExpr([this](double r) { return 1 / std::sqrt(1 + r * r / (scale_ * scale_)); });
  }

  [[nodiscard]] std::vector<double> to_values(const Eigen::VectorXd& logs) const {
    std::vector<double> values;
    for (const double v : logs) values.push_back(std::exp(v));
    return values;
  }

  [[nodiscard]] Eigen::Index size() const { return static_cast<Eigen::Index>(parameters_.size()); }

 private:
  [[nodiscard]] const FitParameter& at(Eigen::Index i) const {
    return parameters_[static_cast<std::size_t>(i)];
  }

  std::span<const FitParameter> parameters_;
  const std::function<double(const std::vector<double>&, std::size_t)>& model_;
  const std::vector<double>& measured_;
  double scale_;
};

double median_magnitude(const Eigen::VectorXd& residuals) {
  std::vector<double> sizes;
  for (const double r : residuals) sizes.push_back(std::abs(r));
  std::sort(sizes.begin(), sizes.end());
  return sizes[sizes.size() / 2];
}

std::vector<double> standard_errors(const Eigen::MatrixXd& normal, double spread) {
  // A ridge far below what decides a parameter keeps an undecided one's error finite: then it is cut at 1.
  const Eigen::MatrixXd ridged = normal + 1e-12 * Eigen::MatrixXd::Identity(normal.rows(), normal.cols());
  const Eigen::MatrixXd inverse =
      ridged.ldlt().solve(Eigen::MatrixXd::Identity(normal.rows(), normal.cols()));
  std::vector<double> errors;
  for (Eigen::Index i = 0; i < normal.rows(); ++i) {
    const double error = spread * std::sqrt(std::max(inverse(i, i), 0.0));
    errors.push_back(std::isfinite(error) ? std::min(error, 1.0) : 1.0);
  }
  return errors;
}

}  // namespace

FitResult fit_ratios(std::span<const FitParameter> parameters,
                     const std::function<double(const std::vector<double>&, std::size_t)>& model,
                     const std::vector<double>& measured, double scale) {
  KVCAST_CHECK(!measured.empty());
  const Problem problem(parameters, model, measured, scale);
  Eigen::VectorXd logs = problem.start();
  Eigen::VectorXd residuals = problem.residuals(logs);
  double cost = problem.cost(residuals);
  double damping = 1e-3;
  Eigen::MatrixXd normal = Eigen::MatrixXd::Zero(problem.size(), problem.size());
  for (int iteration = 0; iteration < kIterationsMax && damping < 1e10; ++iteration) {
    const Eigen::MatrixXd slopes = problem.jacobian(logs, residuals);
    const Eigen::VectorXd weights = problem.weights(residuals);
    normal = slopes.transpose() * weights.asDiagonal() * slopes;
    const Eigen::VectorXd gradient = slopes.transpose() * weights.cwiseProduct(residuals);
    bool improved = false;
    double fall = 0;
    while (!improved && damping < 1e10) {
      Eigen::MatrixXd damped = normal;
      damped.diagonal().array() += damping * (normal.diagonal().array() + 1e-9);
      const Eigen::VectorXd next = problem.clamped(logs - damped.ldlt().solve(gradient));
      const Eigen::VectorXd next_residuals = problem.residuals(next);
      const double next_cost = problem.cost(next_residuals);
      improved = next_cost < cost;
      damping = improved ? std::max(damping / 5, 1e-9) : damping * 4;
      if (!improved) continue;
      fall = (cost - next_cost) / std::max(cost, 1e-30);
      logs = next;
      residuals = next_residuals;
      cost = next_cost;
    }
    if (!improved || fall < kConverged) break;
  }
  FitResult result;
  result.values = problem.to_values(logs);
  result.spread = 1.4826 * median_magnitude(residuals);
  result.relative_errors = standard_errors(normal, std::max(result.spread, 1e-6));
  return result;
}

}  // namespace kvcast
