#pragma once

#include <functional>

namespace sparring {

/**
 * Runs a job on another thread, at once where one can be had, else when one is free. The thread that went idle last takes
 * it: the steps of a training that follow one another stay on one thread, whose scratch memory is in its core's caches and
 * which the system leaves on that core. (Threads that take turns, as libuv's do, cost a tenth of a step.)
 *
 * The job must not throw.
 */
void runInBackground(std::function<void()> job);

}  // namespace sparring
