// Counts the words of its arguments, each in a thread of its own.
#include <atomic>
#include <iostream>
#include <thread>
#include <vector>

#include "words.h"

int main(int argc, char **argv)
{
    std::atomic<size_t> words{0};
    std::vector<std::thread> threads;

    for (int i = 1; i < argc; i++)
        threads.emplace_back([&words, text = argv[i]] { words += count_words(text); });
    for (auto &thread : threads)
        thread.join();
    std::cout << words << '\n';
}
