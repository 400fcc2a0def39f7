# What every target of our own gets: warnings, and what the build found out about the machine.

if(PROJECT_IS_TOP_LEVEL)
    find_program(ASYNCIO_CCACHE ccache)
    if(ASYNCIO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_CXX_COMPILER_LAUNCHER "${ASYNCIO_CCACHE}")
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        find_program(ASYNCIO_LLD ld.lld-19)
        if(ASYNCIO_LLD)
            add_link_options(-fuse-ld=lld-19)
        endif()
    endif()
endif()

# asyncio_own_target(TARGET): our warnings and private definitions, for one target of this project.
function(asyncio_own_target target)
    set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
    target_compile_definitions(${target} PRIVATE
        ASYNCIO_HAVE_LIBURING=${ASYNCIO_HAVE_LIBURING} ASYNCIO_NO_COMPILER_NOTE)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow)
    if(ASYNCIO_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # False alarms of GCC 12: variables that live in a coroutine frame, operator new of a promise
        # (PR 109224), and fences, which its thread sanitizer does not model.
        target_compile_options(${target} PRIVATE
            -Wno-maybe-uninitialized -Wno-mismatched-new-delete -Wno-tsan)
    else()
        # Dangling coroutine arguments become errors (see the guide on lifetimes).
        target_compile_definitions(${target} PRIVATE ASYNCIO_STRICT_LIFETIMES=1)
    endif()
    if(ASYNCIO_HAVE_LIBURING)
        target_link_libraries(${target} PRIVATE PkgConfig::LIBURING)
    endif()
endfunction()

# asyncio_programs(PREFIX FOLDER): every FOLDER/NAME.cpp becomes the program PREFIX_NAME; the
# target asyncio_programs builds all of them.
function(asyncio_programs prefix folder)
    if(NOT TARGET asyncio_programs)
        add_custom_target(asyncio_programs)
    endif()
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp")
    if(NOT ASYNCIO_HAVE_TLS)
        list(FILTER sources EXCLUDE REGEX "tls[^/]*\\.cpp$")
    endif()
    foreach(source IN LISTS sources)
        get_filename_component(name "${source}" NAME_WE)
        add_executable(${prefix}_${name} "${source}")
        target_link_libraries(${prefix}_${name} PRIVATE asyncio::asyncio Threads::Threads)
        if(name MATCHES "tls")
            target_link_libraries(${prefix}_${name} PRIVATE asyncio::tls OpenSSL::SSL OpenSSL::Crypto)
        endif()
        asyncio_own_target(${prefix}_${name})
        add_dependencies(asyncio_programs ${prefix}_${name})
    endforeach()
endfunction()
