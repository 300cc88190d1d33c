#pragma once

#include <memory>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/storage.h"

namespace sparring {

/** What is known of a tensor before it has memory. */
struct TensorType {
  Shape shape;
  DType dtype = DType::float32;

  [[nodiscard]] size_t bytes() const { return static_cast<size_t>(shape.size()) * dtypeBytes(dtype); }
  bool operator==(const TensorType&) const = default;
};

/** A dense, row-major, contiguous array in a storage that it may share with other tensors. */
class Tensor {
 public:
  Tensor() = default;
  Tensor(TensorType type, std::shared_ptr<Storage> storage, size_t offset = 0)
      : type_(type), storage_(std::move(storage)), offset_(offset) {}

  /** A tensor in memory of its own, uninitialised. */
  static Tensor allocate(const TensorType& type) { return {type, Storage::allocate(type.bytes())}; }
  /** A tensor whose memory a plan will provide. */
  static Tensor placeholder(const TensorType& type) { return {type, Storage::placeholder(type.bytes())}; }

  [[nodiscard]] const TensorType& type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return type_.shape; }
  [[nodiscard]] DType dtype() const { return type_.dtype; }
  [[nodiscard]] int rank() const { return type_.shape.rank(); }
  [[nodiscard]] int64_t size() const { return type_.shape.size(); }
  [[nodiscard]] size_t bytes() const { return type_.bytes(); }
  [[nodiscard]] const std::shared_ptr<Storage>& storage() const { return storage_; }
  [[nodiscard]] size_t offset() const { return offset_; }
  [[nodiscard]] std::byte* bytesData() const { return storage_->data() + offset_; }
  template <class T>
  [[nodiscard]] T* data() const {
    return reinterpret_cast<T*>(bytesData());
  }

  /** The same memory under another type, starting `bytes` further in. */
  [[nodiscard]] Tensor view(const TensorType& type, size_t bytes = 0) const {
    return {type, storage_, offset_ + bytes};
  }

 private:
  TensorType type_;
  std::shared_ptr<Storage> storage_;
  size_t offset_ = 0;
};

}  // namespace sparring
