// Reads one request a line, base64 fields separated by tabs; writes `true` or `false` a line.
using System;
using System.Text;

while (Console.ReadLine() is { } line)
{
    var fields = line.Split('\t');
    string Text(int n) => Encoding.UTF8.GetString(Convert.FromBase64String(fields[n]));
    string? Header(int n) => fields[n] == "" ? null : Text(n);
    var body = Convert.FromBase64String(fields[5]);
    var genuine = TemulaWebhook.Verify(body, Header(0), Header(1), Header(2), Text(3).Split(' '), long.Parse(Text(4)));
    Console.WriteLine(genuine ? "true" : "false");
}
