# `cmake --install`: the library, its headers, and a package for find_package(corering).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/corering)
install(TARGETS corering EXPORT corering-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(CORERING_TOOLS)
  install(TARGETS iotrace corering_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/corering DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT corering-targets NAMESPACE corering:: DESTINATION ${package_dir})
configure_package_config_file(cmake/corering-config.cmake.in corering-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(corering-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/corering-config.cmake ${PROJECT_BINARY_DIR}/corering-config-version.cmake
        DESTINATION ${package_dir})
