/// page_files.hpp — the parts of the page, which the build takes from the folder `page`.
#pragma once

#include <span>
#include <string_view>

namespace iotrace {

extern const std::span<const std::string_view> page_style;
extern const std::span<const std::string_view> page_body;
extern const std::span<const std::string_view> page_script;

}  // namespace iotrace
