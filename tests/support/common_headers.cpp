/// common_headers.cpp — empty: its object belongs to the headers that all tests read precompiled.
