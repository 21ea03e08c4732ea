"""Running a stage in a child process with limits of memory and time: the step's side and the child's."""
