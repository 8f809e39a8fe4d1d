/// task_of_a_reference.cpp — a task that would return a reference.
// refused: a task cannot return a reference
#include <corering/core/task.hpp>

corering::Task<int&> returns_a_reference(int& number) { co_return number; }
