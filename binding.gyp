{
  # CMakeLists.txt is the one build description; this lets a bare `node-gyp rebuild` reach it. CMake works in a folder of
  # its own, because in build/ it would overwrite the Makefile that node-gyp is running.
  'targets': [
    {
      'target_name': 'sparring_by_cmake',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake_js_compile',
          'inputs': ['CMakeLists.txt'],
          'outputs': ['build/cmake/Release/always'],
          'action': [
            'node', '<!(node -p "require.resolve(\'cmake-js/bin/cmake-js\')")', 'compile', '--out', 'build/cmake',
          ],
        },
      ],
    },
  ],
}
