/// process_exit.hpp — whether a task has called exit().
#pragma once

namespace corering {

/// To be called when a worker begins to run: from then on has_exited_in_a_task() can tell.
void watch_for_exit() noexcept;

/// Returns true while exit() destroys the objects of static storage duration, if a task has called it. The
/// worker's thread, on which that task runs, will never end. So nothing may wait for it, and what it uses
/// must stay.
[[nodiscard]] bool has_exited_in_a_task() noexcept;

}  // namespace corering
