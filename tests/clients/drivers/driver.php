<?php
// Reads one request a line, base64 fields separated by tabs; writes `true` or `false` a line.
require $argv[1];
while (($line = fgets(STDIN)) !== false) {
    $fields = array_map('base64_decode', explode("\t", rtrim($line, "\n")));
    $names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];
    $headers = array_filter(array_combine($names, array_slice($fields, 0, 3)), fn($value) => $value !== '');
    $genuine = temula_verify($fields[5], $headers, explode(' ', $fields[3]), (int) $fields[4]);
    echo $genuine ? "true\n" : "false\n";
}
