#include "tests/coverage/diagram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvcast::coverage {
namespace {

constexpr double kLeft = 60, kTop = 20, kSide = 360;  // of the plot, px

double x_of(double stated) { return kLeft + kSide * stated; }
double y_of(double truth) { return kTop + kSide * (1 - truth); }

std::string axes() {
  std::string text;
  for (int k = 0; k <= 5; ++k) {
    const double at = k / 5.0;
    text += fmt::format(
        "<path d=\"M{0:.0f} {1:.0f}H{2:.0f}M{3:.0f} {4:.0f}V{5:.0f}\" stroke=\"#e3e6ea\"/>\n"
        "<text x=\"{6:.0f}\" y=\"{7:.0f}\" text-anchor=\"end\">{8:.1f}</text>\n"
        "<text x=\"{3:.0f}\" y=\"{9:.0f}\" text-anchor=\"middle\">{8:.1f}</text>\n",
        kLeft, y_of(at), kLeft + kSide, x_of(at), kTop, kTop + kSide, kLeft - 8, y_of(at) + 4, at,
        kTop + kSide + 18);
  }
  text +=
      fmt::format("<path d=\"M{:.0f} {:.0f}L{:.0f} {:.0f}\" stroke=\"#6b7280\" stroke-dasharray=\"4 4\"/>\n",
                  x_of(0), y_of(0), x_of(1), y_of(1));
  text += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">stated probability</text>\n",
                      kLeft + kSide / 2, kTop + kSide + 40);
  text += fmt::format(
      "<text transform=\"translate(16 {:.0f}) rotate(-90)\" text-anchor=\"middle\">share that came "
      "true</text>\n",
      kTop + kSide / 2);
  return text;
}

/// \param shape of a dot: "circle", or a square for those who do not see the colours
std::string dots(const std::vector<Bin>& all, const char* color, bool circle) {
  std::string text;
  for (const Bin& bin : all) {
    if (bin.count == 0) continue;
    const auto n = static_cast<double>(bin.count);
    const double x = x_of(bin.stated / n), truth = bin.truth / n;
    const double error = 2 * std::sqrt(std::max(truth * (1 - truth), 0.0) / n);
    text += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"{3}\"/>", x,
                        y_of(std::min(1.0, truth + error)), y_of(std::max(0.0, truth - error)), color);
    text += circle ? fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\" fill=\"{}\">", x, y_of(truth),
                                 color)
                   : fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"8\" height=\"8\" fill=\"{}\">",
                                 x - 4, y_of(truth) - 4, color);
    text += fmt::format("<title>{} samples: {:.2f} stated, {:.2f} came true</title></{}>\n", bin.count,
                        bin.stated / n, truth, circle ? "circle" : "rect");
  }
  return text;
}

std::string legend(double y, const char* color, bool circle, const char* name) {
  const double x = kLeft + 24;
  return (circle ? fmt::format("<circle cx=\"{:.0f}\" cy=\"{:.0f}\" r=\"4.5\" fill=\"{}\"/>", x, y, color)
                 : fmt::format("<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"8\" height=\"8\" fill=\"{}\"/>",
                               x - 4, y - 4, color)) +
         fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", x + 12, y + 4, name);
}

}  // namespace

std::string reliability_diagram(const std::vector<Bin>& synthetic, const std::vector<Bin>& traces) {
  constexpr const char* kBlue = "#1d6fb8";
  constexpr const char* kOrange = "#c2410c";
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 440 436\" width=\"440\" height=\"436\" "
         "role=\"img\" "
         "font-family=\"sans-serif\" font-size=\"13\" fill=\"#1f2937\">\n"
         "<title>Stated probability of meeting the SLO, and the share of further samples that met "
         "it</title>\n"
         "<rect width=\"440\" height=\"436\" fill=\"#ffffff\"/>\n" +
         axes() + dots(synthetic, kBlue, true) + dots(traces, kOrange, false) +
         legend(kTop + 20, kBlue, true, "synthetic traffic") + legend(kTop + 40, kOrange, false, "traces") +
         "</svg>\n";
}

}  // namespace kvcast::coverage
