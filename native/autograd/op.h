#pragma once

#include <span>
#include <string>
#include <vector>

#include "autograd/attributes.h"
#include "core/tensor.h"

namespace sparring {

class Value;
class Vjp;

using Tensors = std::span<const Tensor>;
using Types = std::vector<TensorType>;

/**
 * An operation: what it gives for which inputs, how it is computed, and how it is differentiated. Everything the engine
 * can do is one of these, registered by name; eager calls, the tape and plans all run the same entry.
 */
struct Op {
  using Infer = Types (*)(Tensors inputs, const Attributes& attributes);
  using Run = void (*)(Tensors inputs, Tensors outputs, const Attributes& attributes);
  using Differentiate = void (*)(Vjp& vjp);

  const char* name;
  int leastInputs;
  int mostInputs;
  /** Checks the inputs and gives the types of the outputs. */
  Infer infer;
  /** Computes the outputs. Null for a view, whose outputs share the memory of the first input. */
  Run run;
  /** Sends the outputs' cotangents to the inputs. Null where the derivative is zero or there is none. */
  Differentiate differentiate = nullptr;
  /** Which inputs and outputs `differentiate` reads the values of, bit by bit; the tape keeps no others alive. */
  unsigned readsInputs = 0;
  unsigned readsOutputs = 0;
  /** Where in the first input's memory a view starts, in elements. */
  int64_t (*viewOffset)(Tensors inputs, const Attributes& attributes) = nullptr;
  /** Which inputs it writes to, bit by bit: the optimizers' updates. */
  unsigned writesInputs = 0;
  /** Whether an output may take over the memory of an input of its type that is needed no longer. */
  bool elementwise = false;
  /** Floating-point operations of its matrix products. Null where there are none. */
  double (*flops)(Tensors inputs, Tensors outputs, const Attributes& attributes) = nullptr;
};

/** Makes an op known under its name. */
class Registration {
 public:
  explicit Registration(const Op& op);
};

/**
 * Two calls that a plan makes one of, where nobody else reads what the first gives: fewer passes over memory, the same
 * numbers to the bit. Registered beside the ops that it concerns.
 */
struct Fusion {
  const char* first;   // has one output
  const char* second;  // has one output, of the same type, and no settings
  int input;           // which input of the second the first's output is
  /** Takes the first's inputs, then the second's others, and the first's settings. Only plans call it. */
  Op together;
  /** Whether it can make this output of these inputs; null where it always can. */
  bool (*takes)(Tensors inputs, const Tensor& output) = nullptr;
};

/** Makes a fusion known. */
class FusionRegistration {
 public:
  explicit FusionRegistration(const Fusion& fusion);
};

/** The fusion of two ops, the second of which takes the first's output as that input; null when there is none. */
const Fusion* findFusion(const Op& first, const Op& second, int input);

/** The op of that name; fails when there is none. */
const Op& findOp(const std::string& name);
/** All of them, in order of their names. */
std::vector<const Op*> allOps();

/** Bits for readsInputs, readsOutputs and writesInputs. */
constexpr unsigned bit(int index) { return 1U << static_cast<unsigned>(index); }

}  // namespace sparring
