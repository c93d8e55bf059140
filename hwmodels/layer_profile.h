/// Step times from a profile of whole layers: the time of each layer of one model by its rows, and attention
/// by sequences and context, as curves and grids between the measured points.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/calibrated_timer.h"
#include "hwmodels/calibration_file.h"

namespace kvcast {

/// Microseconds over a count, straight between points; in proportion to the rise of the last two beyond them.
struct ProfileCurve {
  std::vector<double> rows;  // ascending
  std::vector<double> us;
  [[nodiscard]] double at(double count) const;
};

/// Microseconds over two counts, straight between points, held below the first and in proportion beyond the
/// last.
struct ProfileGrid {
  std::vector<double> x, y;  // ascending
  std::vector<double> us;    // [y][x]
  [[nodiscard]] double at(double x_at, double y_at) const;
};

/// One layer of the profile.
struct ProfiledLayer {
  std::string name;            // "qkv_proj"
  bool by_sampled = false;     // rows are sampled ones (lm_head, sampler), else tokens
  std::int64_t per_layer = 0;  // times in each transformer layer; 0: once in a step
  ProfileCurve curve;
};

/// What was profiled of one model at one tensor-parallel size.
struct LayerProfile {
  std::string model;  // as the profile names it
  std::int64_t tensor_parallel_size = 1;
  std::vector<ProfiledLayer> layers;
  ProfileGrid decode;   // attention of a decode step: by sequences and their mean context
  ProfileGrid mixed;    // what decoding sequences add to a step that has a prompt chunk too: by the same
  ProfileGrid prefill;  // attention of one prompt chunk: by its tokens and the cached tokens before it
  /// How much longer decode and mixed take where the contexts are unequal, over the sequences: the median
  /// over what was profiled of unequal contexts. Empty: not profiled.
  ProfileCurve decode_unequal, mixed_unequal;
};

/// Reads the tables of one model and tensor-parallel size as LLMServingSim's profiler writes them.
/// Contract: row() of all tables, then finish().
class LayerTables {
 public:
  LayerTables(std::string model, std::int64_t tensor_parallel_size);
  /// \param table "dense", "per_sequence", "attention" or "skew"
  /// \throws InputError (exit code 4) "name:line:column: what"
  void begin(const std::string& name, std::string_view table, std::string_view header);
  void row(std::string_view text, std::int64_t line);
  /// \throws InputError naming the table or the points that are missing
  [[nodiscard]] LayerProfile finish();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  [[nodiscard]] ProfileGrid grid(const std::map<std::pair<double, double>, double>& points,
                                 const char* what) const;

  LayerProfile profile_;
  std::string name_, table_;
  std::size_t cells_ = 0;  // of a row
  std::int64_t line_ = 0;
  std::map<std::string, std::map<double, double>> dense_, per_sequence_;
  std::map<std::vector<double>, double> attention_;                 // by chunk, cached, sequences, context
  std::map<double, std::vector<double>> decode_skew_, mixed_skew_;  // ratios to equal contexts, by sequences
};

/// {"fit": {...}} lines, each with its end.
[[nodiscard]] std::string format_layer_profile(const LayerProfile& profile);

/// The profiles of a calibration of kind "layers".
/// \throws InputError (exit code 4) "file:line:column: key: what"
[[nodiscard]] std::vector<LayerProfile> parse_layer_profiles(const CalibrationFile& file);

/// The profile of this tensor-parallel size. \param where stands before the message
/// \throws InputError naming the sizes of the file
[[nodiscard]] const LayerProfile& pick_layer_profile(const std::vector<LayerProfile>& profiles,
                                                     std::int64_t tensor_parallel_size,
                                                     const std::string& where);

/// The timer of a profiled model: all-reduces, which a profile on one GPU has not, are the datasheet's.
[[nodiscard]] std::unique_ptr<CalibratedTimer> make_layer_timer(const LayerProfile& profile,
                                                                const ModelSpec& model, const GpuSpec& gpu,
                                                                const CalibratedOptions& options);

}  // namespace kvcast
