/// wrong_co_return.cpp — an error that is returned as if it were a value.
// refused: write co_return std::unexpected(error)
#include <corering/base/result.hpp>
#include <corering/core/task.hpp>

corering::Task<corering::Result<int>> returns_its_error(std::error_code error) { co_return error; }
