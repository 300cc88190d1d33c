#pragma once

#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "autograd/op.h"
#include "autograd/tape.h"

namespace sparring {

/**
 * A stretch of a plan that is repeated. Its first calls say how many rows are to be worked on, in `count`; the others then
 * work on that many of the `capacity` rows that their tensors have room for. It ends when the count is 0.
 */
struct Loop {
  Tensor count;
  int64_t capacity = 0;
  /** The storages whose tensors have a row for each of those. */
  std::unordered_set<const Storage*> rows;
};

/** One op call of a plan. Its tensors point into the plan's arena, at the caller's inputs, or at captured tensors. */
struct Instruction {
  const Op* op;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  Attributes attributes;
  /** The loop that it belongs to, if any. */
  std::shared_ptr<const Loop> loop = nullptr;
  /** Whether it works on the rows of the loop. */
  bool limited = false;
};

/** While one is alive, op calls on this thread are written down instead of run. */
class Trace : public Tracer {
 public:
  Trace();
  ~Trace() override;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  void record(const Op& op, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
              const Attributes& attributes) override;
  [[nodiscard]] std::vector<Instruction> take() { return std::move(instructions_); }

  /** Starts a loop: calls that find the next rows, then `limitLoop` with them and their number, then calls on them. */
  void beginLoop();
  void limitLoop(const std::vector<Tensor>& rows, const Tensor& count);
  void endLoop();

 private:
  std::vector<Instruction> instructions_;
  std::shared_ptr<Loop> loop_;
};

/**
 * A traced function: the op calls in order, over buffers that were assigned once. Tensors that were there before the
 * trace (weights, constants, a data set) are captured, not copied: a plan sees their present numbers.
 */
class Plan {
 public:
  /** Of the calls, keeps those that the outputs or a captured tensor depend on. */
  Plan(std::vector<Instruction> calls, std::vector<Tensor> inputs, std::vector<Tensor> outputs);

  /**
   * Replays the calls for these inputs; the outputs are tensors of their own. One run at a time, any thread. With
   * `seconds`, what each call took is put there.
   */
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, std::vector<double>* seconds = nullptr);

  [[nodiscard]] size_t arenaBytes() const { return arena_->bytes(); }
  [[nodiscard]] const std::vector<Instruction>& instructions() const { return instructions_; }

 private:
  void assignBuffers();
  /** One past the last call of the loop that starts at `begin`. */
  [[nodiscard]] size_t loopEnd(size_t begin) const;
  void runLoop(size_t begin, size_t end, std::vector<double>* seconds);
  /** Runs a call, on the first `rows` rows where it works on a loop's. */
  void runOne(size_t at, int64_t rows, std::vector<double>* seconds);

  std::mutex running_;
  std::vector<Instruction> instructions_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outputs_;
  std::shared_ptr<Storage> arena_;
};

}  // namespace sparring
