/// awaited_by_its_name.cpp — a combinator and a deadline that have names, awaited without a move.
// refused: write co_await std::move(it)
#include <corering/io/control_calls.hpp>
#include <corering/sync/when.hpp>

corering::Task<void> awaits_it_by_its_name() {
  auto both = corering::when_all(corering::async_nop(), corering::async_nop());
  (void)co_await both;
}
