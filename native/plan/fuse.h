#pragma once

#include <vector>

#include "plan/plan.h"

namespace sparring {

/** The calls of a plan with these outputs, where two that a Fusion joins, and nothing keeps apart, are one. */
std::vector<Instruction> fused(std::vector<Instruction> calls, const std::vector<Tensor>& outputs);

}  // namespace sparring
