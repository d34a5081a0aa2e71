# Reads one request a line, base64 fields separated by tabs; writes `true` or `false` a line.
require ARGV.shift
STDIN.each_line(chomp: true) do |line|
  id, stamp, signatures, secrets, now, body = line.split("\t", -1).map { |field| field.unpack1("m") }
  headers = { "webhook-id" => id, "webhook-timestamp" => stamp, "webhook-signature" => signatures }
  puts temula_verify(body, headers.reject { |_, value| value.empty? }, secrets.split(" "), now: now.to_i)
end
