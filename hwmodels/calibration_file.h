/// A calibration: what was measured or imported of one device and engine, as JSON lines that people can read
/// and diff. The first line is the header; each further line one fitted form or one measurement record.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/json_document.h"

namespace kvcast {

/// {"calibration": {"schema_version": 1, "kind": "kernels", "device": {"name": "h100-sxm"}, "engine": "vllm
/// 0.24.0", "source": "...", "created_by": "kvcast 0.1.0 calibrate import"}}
struct CalibrationHeader {
  static constexpr std::int64_t kSchemaVersion = 1;

  std::string kind;        // "kernels": one fit for each kernel; "layers": layers of one model as profiled;
                           // "steps": whole engine steps
  std::string device;      // a name of kvcast list gpus, or "cpu"
  std::string engine;      // "vllm 0.24.0"; empty: none (kernels timed by themselves)
  std::string source;      // where the measurements come from, with their licence
  std::string created_by;  // the command; no time of day, so that equal inputs give equal files
  std::vector<std::string> notes;
  /// More keys of the header, for readers of one kind: members of the "calibration" object that are none of
  /// the above, "device" among them with all that it says.
  JsonValue raw;
};

/// One {"fit": {...}} or {"record": {...}}: its object, with places in the file.
struct JsonLine {
  JsonValue value;  // the object inside "fit" or "record"
  int line = 0;
};

struct CalibrationFile {
  std::string name;  // path, or "embedded:configs/calibrations/x.jsonl"
  CalibrationHeader header;
  std::vector<JsonLine> fits;
  std::vector<JsonLine> records;
};

/// \param name stands for the file in messages
/// \throws InputError (exit code 4) "name:line:column: what": no header, another schema version, an unknown
/// kind of line, JSON errors
[[nodiscard]] CalibrationFile parse_calibration(std::string_view text, const std::string& name);

/// A file on disk, or an embedded one by its name ("h100-sxm-vllm-0.24") or path below configs/calibrations.
/// \param where "file:line:column" of the name, for the message
/// \throws InputError naming the embedded ones where there is neither
[[nodiscard]] CalibrationFile load_calibration(const std::string& path_or_name,
                                               const std::string& where = {});

/// The embedded calibration of a kind that was made on this device and, in any version, with this engine
/// ("vllm"). Where several versions are there, the last by name.
[[nodiscard]] std::optional<CalibrationFile> find_calibration(const std::string& kind,
                                                              const std::string& device,
                                                              const std::string& engine);

/// Names of the embedded calibrations, in order.
[[nodiscard]] std::vector<std::string> list_calibrations();

/// The header's line, without its end.
/// \param extra further members of the header as JSON, each after a comma (", \"seed\": 1"); may be empty
[[nodiscard]] std::string format_calibration_header(const CalibrationHeader& header,
                                                    std::string_view extra = {});

}  // namespace kvcast
