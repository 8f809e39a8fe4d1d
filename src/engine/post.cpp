/// post.cpp — from a loop to its mailbox, for code that does not see the loop.
#include <corering/engine/post.hpp>

#include "engine/loop.hpp"

namespace corering {

bool post(Loop& there, PostNode& node) noexcept { return there.mailbox().post(node); }

bool post_regardless(Loop& there, PostNode& node) noexcept { return there.mailbox().post_regardless(node); }

void post_home(Loop& there, PostNode& node) noexcept { there.mailbox().post_home(node); }

}  // namespace corering
