"""The crash harness: requests and sweeps that die by ``kill -9`` at a failpoint, and what must be true afterwards.

``server``
    A process that imports the project once and forks a child per job; the child works against the test database with
    the application's rights, and the failpoint of the job kills it.
``client``
    ``CrashServer``: starts that process and hands it jobs (fixture ``crash_server``).
``jobs``
    What a child does: one HTTP request, or one round of the sweeper.
``oracle``
    What must be true after a crash and its recovery, on our side and on the processor's.
``races``
    Threads with connections of their own that start at one barrier; constraints taken away for a control.
"""
