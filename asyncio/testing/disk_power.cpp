// SPDX-License-Identifier: MIT
//
// What is saved when, and what is left after a loss of power; and what worlds look at.
#include <asyncio/testing/disk.hpp>
#include <asyncio/testing/simulated_inode.hpp>
#include <asyncio/testing/simulated_inotify.hpp>

#include <algorithm>
#include <cassert>

#include <sys/inotify.h>
#include <sys/stat.h>

namespace asyncio::testing {

bool Disk::NameChange::touches(const Inode* directory) const noexcept {
    return std::ranges::any_of(names, [&](const NewName& n) { return n.directory == directory; });
}

bool Disk::NameChange::overlaps(const NameChange& other) const noexcept {
    return std::ranges::any_of(names, [&](const NewName& mine) {
        return std::ranges::any_of(other.names, [&](const NewName& n) {
            return n.directory == mine.directory && n.name == mine.name;
        });
    });
}

// --- saving --------------------------------------------------------------------------------------

void Disk::save(const NameChange& change) {
    for (const NewName& name : change.names) {
        if (name.now == nullptr)
            name.directory->saved_names.erase(name.name);
        else
            name.directory->saved_names[name.name] = name.now;
    }
}

/// All changes that touch the directory, and those before them that they build upon.
void Disk::save_names(const Inode& directory) {
    const std::size_t count = unsaved_names_.size();
    std::vector<bool> wanted(count);
    for (std::size_t i = count; i-- > 0;) {
        wanted[i] = unsaved_names_[i].touches(&directory);
        for (std::size_t later = i + 1; later < count && !wanted[i]; ++later)
            wanted[i] = wanted[later] && unsaved_names_[i].overlaps(unsaved_names_[later]);
    }
    std::vector<NameChange> left;
    for (std::size_t i = 0; i < count; ++i) {
        if (wanted[i])
            save(unsaved_names_[i]);
        else
            left.push_back(std::move(unsaved_names_[i]));
    }
    unsaved_names_ = std::move(left);
}

/// Nobody asked for it for so long that the system saves half of it by itself.
void Disk::write_back(Inode& inode) {
    if (std::ssize(inode.unsaved) > kMostUnsaved) {
        const auto half = inode.unsaved.begin() + kMostUnsaved / 2;
        std::for_each(inode.unsaved.begin(), half,
                      [&](const Inode::Change& change) { change.apply_to(inode.saved); });
        inode.unsaved.erase(inode.unsaved.begin(), half);
    }
    if (std::ssize(unsaved_names_) > kMostUnsaved) {
        const auto half = unsaved_names_.begin() + kMostUnsaved / 2;
        std::for_each(unsaved_names_.begin(), half, &Disk::save);
        unsaved_names_.erase(unsaved_names_.begin(), half);
    }
}

/// An fsync failed.
void Disk::give_up_some(Inode& inode) {
    if (inode.is_directory()) return;  // a journal is tried again
    for (const Inode::Change& change : inode.unsaved)
        if (random_.chance(0.5)) change.apply_to(inode.saved);
    inode.unsaved.clear();
}

// --- power ---------------------------------------------------------------------------------------

Disk::Fate Disk::draw_fate() noexcept { return static_cast<Fate>(random_.below(4)); }

void Disk::lose_power() {
    powered_ = false;
    open_.clear();
    for (SimulatedInotify* const watcher : watchers_) watcher->lose_power();
    settle_names();
    for (const auto& inode : inodes_) settle_contents(*inode);
    forget_unreachable();
}

/// Which of the changes of names are on the disk; and what is on the disk is what is there.
void Disk::settle_names() {
    const std::size_t count = unsaved_names_.size();
    Fate fate = draw_fate();
    // Parts of what moves directories about could leave some nowhere, which no file system does.
    const auto moves_directory = [](const NameChange& change) {
        return change.names.size() > 1 &&
               std::ranges::any_of(change.names, [](const NewName& name) {
                   return name.now != nullptr && name.now->is_directory();
               });
    };
    if (fate == Fate::any && std::ranges::any_of(unsaved_names_, moves_directory))
        fate = Fate::first_part;
    const std::size_t first = random_.index(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
        const bool survives = fate == Fate::kept || (fate == Fate::first_part && i < first) ||
                              (fate == Fate::any && random_.chance(0.5));
        if (survives) save(unsaved_names_[i]);
    }
    unsaved_names_.clear();
    for (const auto& inode : inodes_) inode->links = 0;
    for (const auto& inode : inodes_) {
        inode->names = inode->saved_names;
        for (const auto& [name, found] : inode->names) {
            ++found->links;
            if (found->is_directory()) found->parent = inode.get();
        }
    }
}

void Disk::settle_contents(Inode& inode) {
    const std::size_t count = inode.unsaved.size();
    const Fate fate = draw_fate();
    const std::size_t first = random_.index(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
        Inode::Change& change = inode.unsaved[i];
        const bool at_the_cut = fate == Fate::first_part && i == first;
        const bool survives = fate == Fate::kept || (fate == Fate::first_part && i < first) ||
                              (fate == Fate::any && random_.chance(0.5));
        if (!survives && !at_the_cut) continue;
        const bool torn = at_the_cut || (fate == Fate::any && random_.chance(0.25));
        if (torn && !change.truncates && !change.data.empty()) {
            const std::size_t whole = random_.index(change.data.size());
            if (random_.chance(0.5))
                change.data.resize(whole);
            else
                std::fill(change.data.begin() + static_cast<std::ptrdiff_t>(whole),
                          change.data.end(), '\0');
        } else if (at_the_cut) {
            continue;
        }
        change.apply_to(inode.saved);
    }
    inode.unsaved.clear();
    inode.contents = inode.saved;
}

/// Nobody can see them any more, nor will after a loss of power.
void Disk::forget_unreachable() {
    std::vector<Inode*> todo{root_};
    for (const auto& file : open_) {
        if (!file) continue;
        todo.push_back(file->inode);
        if (file->found.directory != nullptr) todo.push_back(file->found.directory);
    }
    for (const NameChange& change : unsaved_names_) {
        for (const NewName& name : change.names) {
            todo.push_back(name.directory);
            if (name.now != nullptr) todo.push_back(name.now);
        }
    }
    for (const auto& inode : inodes_) inode->reachable = false;
    while (!todo.empty()) {
        Inode& inode = *todo.back();
        todo.pop_back();
        if (std::exchange(inode.reachable, true)) continue;
        for (const auto* names : {&inode.names, &inode.saved_names})
            for (const auto& [name, found] : *names) todo.push_back(found);
        if (inode.parent != nullptr) todo.push_back(inode.parent);
    }
    std::erase_if(inodes_, [](const auto& inode) { return !inode->reachable; });
    many_inodes_ = 64 + 2 * inodes_.size();
}

// --- for worlds ----------------------------------------------------------------------------------

std::optional<std::string> Disk::read(std::string_view path) {
    const Place place = find(-1, path, true);
    if (place.error != 0 || place.found == nullptr || !place.found->is_file()) return std::nullopt;
    return place.found->contents;
}

/// Along the names that are saved; through no symbolic links.
std::optional<std::string> Disk::read_saved(std::string_view path) {
    const Inode* inode = root_;
    while (!path.empty()) {
        path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(name.size());
        if (name.empty()) break;
        const auto found = inode->saved_names.find(name);
        if (found == inode->saved_names.end()) return std::nullopt;
        inode = found->second;
    }
    if (!inode->is_file()) return std::nullopt;
    return inode->saved;
}

void Disk::write(std::string_view path, std::string_view contents) {
    Inode* directory = root_;
    while (!path.empty()) {
        path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
        const std::string name(path.substr(0, path.find('/')));
        path.remove_prefix(name.size());
        if (name.empty() || name == ".") return;
        const bool last = path.empty();
        const auto found = directory->names.find(name);
        Inode* inode = found == directory->names.end() ? nullptr : found->second;
        if (inode == nullptr) {
            inode = &add_inode(last ? S_IFREG | 0644 : S_IFDIR | 0755);
            inode->parent = directory;
            change_names({{directory, name, inode}});
            tell_name(IN_CREATE, {.directory = directory, .name = name}, *inode);
        }
        save_names(*directory);
        if (last) {
            assert(inode->is_file());
            inode->contents = inode->saved = contents;
            inode->unsaved.clear();
            for (const std::uint32_t what : {IN_OPEN, IN_MODIFY, IN_CLOSE_WRITE})
                tell_found(what, {directory, name}, *inode);
        }
        directory = inode;
    }
}

std::vector<std::string> Disk::list(std::string_view path) {
    std::vector<std::string> names;
    const Place place = find(-1, path, true);
    if (place.error != 0 || place.found == nullptr) return names;
    for (const auto& [name, inode] : place.found->names) names.push_back(name);
    return names;
}

}  // namespace asyncio::testing
