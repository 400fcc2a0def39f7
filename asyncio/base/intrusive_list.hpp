// SPDX-License-Identifier: MIT
//
// IntrusiveList: a doubly linked list whose links live in the elements. Nothing allocates, every
// operation is O(1), and an element unlinks itself when it dies.
//
// An element that is in several lists inherits IntrusiveListNode once per list, with a Tag each.
// Invariant: a node is either linked (both pointers set) or not (both null).
#pragma once

#include <cassert>
#include <cstddef>

namespace asyncio {

template <class T, class Tag>
class IntrusiveList;

template <class T, class Tag = void>
class IntrusiveListNode {
  public:
    IntrusiveListNode() = default;
    IntrusiveListNode(const IntrusiveListNode&) = delete;
    IntrusiveListNode& operator=(const IntrusiveListNode&) = delete;
    ~IntrusiveListNode() { unlink(); }

    bool linked() const noexcept { return next_ != nullptr; }

    /// Leave the list; a no-op when in none.
    void unlink() noexcept {
        if (next_ == nullptr) return;
        prev_->next_ = next_;
        next_->prev_ = prev_;
        next_ = prev_ = nullptr;
    }

  private:
    friend class IntrusiveList<T, Tag>;
    IntrusiveListNode* next_ = nullptr;
    IntrusiveListNode* prev_ = nullptr;
};

template <class T, class Tag = void>
class IntrusiveList {
    using Node = IntrusiveListNode<T, Tag>;

  public:
    IntrusiveList() noexcept { clear_links(); }
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;
    ~IntrusiveList() {
        while (!empty()) pop_front();
        head_.next_ = head_.prev_ = nullptr;
    }

    bool empty() const noexcept { return head_.next_ == &head_; }

    void push_back(T& element) noexcept { insert_before(head_, element); }
    void push_front(T& element) noexcept { insert_before(*head_.next_, element); }

    T& front() noexcept {
        assert(!empty());
        return static_cast<T&>(*head_.next_);
    }

    T& pop_front() noexcept {
        T& element = front();
        static_cast<Node&>(element).unlink();
        return element;
    }

    /// Move all elements of `other` to the end of this list.
    void splice_back(IntrusiveList& other) noexcept {
        if (other.empty()) return;
        Node* first = other.head_.next_;
        Node* last = other.head_.prev_;
        other.clear_links();
        first->prev_ = head_.prev_;
        head_.prev_->next_ = first;
        last->next_ = &head_;
        head_.prev_ = last;
    }

    /// Call `visit(element)` for each; the visited element may unlink itself.
    template <class Visit>
    void for_each(Visit&& visit) {
        for (Node* node = head_.next_; node != &head_;) {
            Node* next = node->next_;
            visit(static_cast<T&>(*node));
            node = next;
        }
    }

  private:
    void insert_before(Node& position, T& element) noexcept {
        Node& node = element;
        assert(!node.linked());
        node.next_ = &position;
        node.prev_ = position.prev_;
        position.prev_->next_ = &node;
        position.prev_ = &node;
    }
    void clear_links() noexcept { head_.next_ = head_.prev_ = &head_; }

    Node head_;
};

}  // namespace asyncio
