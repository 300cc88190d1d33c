#pragma once

#include <vector>

#include "plan/plan.h"

namespace sparring {

/**
 * The calls of a plan with these inputs and outputs, where what two of them would both compute is computed once: the same op of the
 * same numbers with the same settings. So an adversary and a loss that send the same inputs through a network share the pass.
 */
std::vector<Instruction> shared(std::vector<Instruction> calls, const std::vector<Tensor>& inputs,
                                const std::vector<Tensor>& outputs);

}  // namespace sparring
